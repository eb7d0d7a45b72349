import type { Metadata } from "@grpc/grpc-js";
import { InvalidArgumentError } from "@memseal/errors";

/** The metadata that names a request, so that a repetition is known, over HTTP the header of the same name. */
export const IDEMPOTENCY_KEY = "idempotency-key";
/** The metadata that marks the answer of an earlier request. */
export const REPLAYED_KEY = "idempotent-replayed";

/** A key is what a header can carry: 1 to 255 visible ASCII characters. Source: draft-ietf-httpapi-idempotency-key-header. */
const FORM = /^[\x21-\x7e]{1,255}$/;

/** @throws InvalidArgumentError for a key that is empty, too long, or has other characters than visible ASCII */
export function parseIdempotencyKey(given: string | undefined): string | undefined {
  if (given !== undefined && !FORM.test(given)) throw new InvalidArgumentError(IDEMPOTENCY_KEY, "must have 1 to 255 visible ASCII characters");
  return given;
}

/** @throws as parseIdempotencyKey */
export function idempotencyKeyOf(metadata: Metadata): string | undefined {
  return parseIdempotencyKey(metadata.get(IDEMPOTENCY_KEY)[0]?.toString());
}
