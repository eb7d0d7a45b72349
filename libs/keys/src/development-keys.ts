import { createHash } from "node:crypto";

/** SHA-256 of each key and secret in libs/crypto/vectors, which everybody knows. */
const PUBLISHED: ReadonlySet<string> = new Set([
  "90ba2f5d1a264150824772fe8ce6e26cd5e3b0b7705480bec640897f1027c9f1",
  "5c882eac64a179602af60b56048fb6fc50a7589a484ef58d8f04c00740298d39",
  "2f303612e20414af7df49bcf4fa3cd2ce09fd1949bcd4eba5063f3daea9f8912",
  "851223d00be907eb7b0604f7ecd5201173519f40f23c2b4ed5f7b6b3ae97a102",
  "0fd4d1ee07c895481de6fbccc13ad9bae977542464c41929735739fb74ce159a",
]);

/** Of a pattern, the longest that is looked for: anything that repeats after so few bytes was typed, not drawn. */
const LONGEST_PATTERN = 8;

/**
 * Why 32 bytes are no key for production, or undefined. Random bytes pass but for one time in 10^14: the patterns
 * are those of people who need some key, quickly.
 */
export function developmentKeyFault(bytes: Uint8Array): string | undefined {
  if (PUBLISHED.has(createHash("sha256").update(bytes).digest("hex"))) return "is a published test vector";
  for (let length = 1; length <= LONGEST_PATTERN; length++) {
    if (bytes.every((byte, i) => i < length || byte === bytes[i - length])) return "is not random: it repeats itself";
  }
  const step = bytes[1] - bytes[0];
  if (bytes.every((byte, i) => i === 0 || byte === ((bytes[i - 1] + step) & 0xff))) return "is not random: it counts";
  if (bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d)) {
    return "is text, not random bytes (hex and base64 must be decoded before they are written to it)";
  }
  return undefined;
}
