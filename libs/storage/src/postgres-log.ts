import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeFileSync } from "node:fs";

/** What the log, and the part before it in `.1`, may each hold. */
export const LOG_BYTES = 10 * 1024 * 1024;

/** How often a running server's log is looked at. In between it can grow past LOG_BYTES. */
export const LOG_CHECK_MS = 5_000;

/** A descriptor to append with; the server inherits it, so the file itself stays ours and 0600. */
export function openLog(file: string): number {
  const log = openSync(file, "a", 0o600);
  boundLog(file);
  return log;
}

/**
 * Keeps the end of a log that has grown too long in `<file>.1` and empties it. The server writes on into the same
 * file, at its end, so neither it nor we need to open it anew; a line written between the two steps is lost.
 */
export function boundLog(file: string): void {
  const log = openSync(file, "r+");
  try {
    const { size } = fstatSync(log);
    if (size <= LOG_BYTES) return;
    const end = Buffer.alloc(LOG_BYTES);
    const length = readSync(log, end, 0, LOG_BYTES, size - LOG_BYTES);
    ftruncateSync(log);
    writeFileSync(`${file}.1`, end.subarray(0, length), { mode: 0o600 });
  } finally {
    closeSync(log);
  }
}
