/** What cannot be packed, in words for who asked. */
export class PackError extends Error {
  override readonly name = "PackError";
}
