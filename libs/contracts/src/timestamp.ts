import { InvalidArgumentError } from "@memseal/errors";
import type { Timestamp } from "./generated/google/protobuf/timestamp.js";

/** 0001-01-01 and 9999-12-31, the range of a protobuf Timestamp, in seconds. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

export function toTimestamp(at: Date): Timestamp {
  const ms = at.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}

/** @throws InvalidArgumentError outside the years 1 to 9999 */
export function fromTimestamp({ seconds, nanos }: Timestamp, field: string): Date {
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw new InvalidArgumentError(field, "must be a time from year 1 to 9999");
  }
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1_000_000));
}
