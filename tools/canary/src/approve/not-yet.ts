/** A protection that is not there: nothing attacks it. `says`: the sentence of the threat model that says so, which goes when the feature comes. */
export interface NotYet {
  readonly promise: string;
  readonly says: string;
}

export const NOT_YET: readonly NotYet[] = [
  { promise: "the root key never leaves an HSM, a KMS or a vault", says: "The root key is a file" },
  { promise: "memory of running processes is closed to the machine's operator (confidential computing)", says: "there is no confidential computing (TEE)" },
  { promise: "the tenant secret and the reference key are rotated", says: "The tenant secret cannot be rotated without rewriting every row" },
  { promise: "an old row, tenant or database that is put back is noticed", says: "An old row, tenant or database restored whole opens as it did then" },
  { promise: "what was freed is overwritten", says: "Zeroing is best effort" },
  { promise: "sizes, times, counts and access patterns do not show", says: "not padded; no dummy rows, no delays" },
  { promise: "certificates are checked for revocation", says: "Certificates are not checked against revocation lists" },
];

/** Those whose sentence the threat model no longer has: they are there now, or were never written down. Lines may break anywhere. */
export function outdated(threatModel: string, notYet: readonly NotYet[] = NOT_YET): NotYet[] {
  const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
  return notYet.filter(({ says }) => !flat(threatModel).includes(flat(says)));
}
