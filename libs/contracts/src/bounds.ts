import { InvalidArgumentError } from "@memseal/errors";
import { LIMITS } from "./limits.js";
import { boundedText } from "./text.js";

/** The items, if there are as many as there may be. @throws InvalidArgumentError, as all here */
export function bounded<T>(items: readonly T[], field: string, min: number, max: number): readonly T[] {
  if (items.length < min || items.length > max) {
    throw new InvalidArgumentError(field, min === 0 ? `must have at most ${max} items` : `must have ${min} to ${max} items`);
  }
  return items;
}

/** A whole number from 1 to `max`. */
export function inRange(value: number, field: string, max: number): number {
  if (!Number.isInteger(value) || value < 1 || value > max) throw new InvalidArgumentError(field, `must be a whole number from 1 to ${max}`);
  return value;
}

export function optionalText(text: string | undefined, field: string, max: number): string | undefined {
  return text === undefined ? undefined : boundedText(text, field, max);
}

/** A label such as a role or a source. */
export function optionalLabel(text: string | undefined, field: string): string | undefined {
  return optionalText(text, field, LIMITS.labelCharacters);
}

/** The greatest uint32. */
const MAX_VERSION = 2 ** 32 - 1;

/** The version that a memory must still have. */
export function optionalVersion(version: number | undefined, field: string): number | undefined {
  return version === undefined ? undefined : inRange(version, field, MAX_VERSION);
}

export function parseMemoryId(id: string, field: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) throw new InvalidArgumentError(field, "must be a UUID");
  return id.toLowerCase();
}

/** Names no tenant: the credential does. A value that is not the credential's own user is refused. */
export interface ClaimedUser {
  readonly userId?: string | undefined;
}

export function parseUserId(userId: string | undefined): string | undefined {
  return optionalText(userId, "user_id", LIMITS.userIdCharacters);
}
