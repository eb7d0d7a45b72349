import { appendFileSync, closeSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boundLog, LOG_BYTES, openLog } from "./postgres-log.js";

describe("a server's log", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "memseal-log-"));
    file = join(folder, "postgres.log");
  });

  afterEach(() => { rmSync(folder, { recursive: true }); });

  it("is left alone while it is short", () => {
    const log = openLog(file);
    writeSync(log, "x".repeat(LOG_BYTES));
    boundLog(file);
    closeSync(log);
    expect(statSync(file).size).toBe(LOG_BYTES);
    expect(existsSync(`${file}.1`)).toBe(false);
  });

  it("that is too long keeps its end apart, and takes what a writer that has it open writes next", () => {
    const log = openLog(file);
    writeSync(log, `first\n${"x".repeat(LOG_BYTES)}\nlast\n`);
    boundLog(file);
    writeSync(log, "next\n");
    closeSync(log);
    expect(readFileSync(file, "utf8")).toBe("next\n");
    const before = readFileSync(`${file}.1`, "utf8");
    expect(before).toHaveLength(LOG_BYTES);
    expect(before.endsWith("\nlast\n")).toBe(true);
  });

  it("never holds more than twice its bound after a look, however fast it grew", () => {
    for (let round = 1; round <= 3; round++) {
      appendFileSync(file, "x".repeat(round * LOG_BYTES + 1));
      boundLog(file);
    }
    expect(statSync(file).size + statSync(`${file}.1`).size).toBeLessThanOrEqual(2 * LOG_BYTES);
  });

  it("is its owner's alone, before and after", () => {
    closeSync(openLog(file));
    appendFileSync(file, "x".repeat(LOG_BYTES + 1));
    boundLog(file);
    expect([file, `${file}.1`].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
  });
});
