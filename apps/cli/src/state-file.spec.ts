import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { StateFile } from "./state-file.js";

describe("a state file", () => {
  let dir: string;
  beforeEach(() => { dir = mkdtempSync(join(tmpdir(), "memseal-state-")); });
  afterEach(() => { rmSync(dir, { recursive: true }); });
  const at = (name: string) => new StateFile(join(dir, name), z.strictObject({ done: z.number() }));

  it("says what was saved, and nothing before", () => {
    expect(at("a").load()).toBeUndefined();
    at("a").save({ done: 7 });
    expect(at("a").load()).toEqual({ done: 7 });
  });

  it("says what to do where its folder is not there", () => {
    expect(() => { at("none/a").save({ done: 7 }); }).toThrow(`${join(dir, "none/a")} cannot be written (ENOENT): choose a folder that is there`);
  });

  it("advises to remove what is not one of its own, and never a folder", () => {
    writeFileSync(join(dir, "a"), "something else");
    expect(() => at("a").load()).toThrow("remove it to begin anew");
    mkdirSync(join(dir, "folder"));
    expect(() => at("folder").load()).toThrow(/cannot be read(?!.*remove)/);
  });
});
