import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString, writeHeapSnapshot } from "node:v8";
import { stringsOf } from "./heap-snapshot.js";

/** Not a part of this file's own source, which is in the snapshot, too. */
const made = (parts: readonly string[]): string => parts.join("");

it("every string of a heap snapshot is read: with what JSON escapes, at any length, and of halves that were never joined", () => {
  const dir = mkdtempSync(join(tmpdir(), "memseal-snapshot-"));
  setFlagsFromString("--heap-snapshot-string-limit=1000000000");
  const [quoted, end] = [made(["Zoë's \"wal", "nut\"\n7719"]), made(["the end of ", "a long one"])];
  // Each half is long enough for V8 not to copy it.
  const halves = ["the first half and ", "the second half"].map((half) => made([half]));
  const held = { quoted, long: made(["x".repeat(100_000), end]), concatenated: `${halves[0]}${halves[1]}` };
  const file = writeHeapSnapshot(join(dir, "one.heapsnapshot"));
  const strings = stringsOf(readFileSync(file, "utf8"));
  rmSync(dir, { recursive: true });
  expect(strings).toContain(quoted);
  expect(strings.some((string) => string.length > 100_000 && string.endsWith(end))).toBe(true);
  expect(strings).toContain(made(["the first half and the", " second half"]));
  expect(Object.keys(held)).toHaveLength(3);
});
