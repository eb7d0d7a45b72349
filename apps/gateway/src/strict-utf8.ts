const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Read leniently, each wrong byte would be stored as U+FFFD. @throws TypeError for what is not UTF-8 */
export function decodeUtf8(bytes: Uint8Array): string {
  return UTF_8.decode(bytes);
}
