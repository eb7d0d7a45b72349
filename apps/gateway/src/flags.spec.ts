import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartupError } from "@memseal/errors";
import { Logger } from "@memseal/telemetry";
import { Flags, FLAGS } from "./flags.js";

describe("Flags", () => {
  let dir: string;
  let file: string;
  let lines: Record<string, unknown>[];
  let flags: Flags | undefined;
  const log = new Logger("test", (line) => lines.push(JSON.parse(line) as Record<string, unknown>));

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "memseal-flags-"));
    file = join(dir, "flags.json");
    lines = [];
  });
  afterEach(() => {
    flags?.close();
    rmSync(dir, { recursive: true });
  });

  const on = () => FLAGS.filter((flag) => flags?.isOn(flag));
  const until = async (done: () => boolean) => { for (let i = 0; i < 60 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 50)); };

  it("are all on without a file, and where the file does not say", () => {
    flags = Flags.open(undefined, log);
    expect(on()).toEqual(["search", "writes", "rerank"]);
    writeFileSync(file, '{"rerank":false}');
    flags = Flags.open(file, log);
    expect(on()).toEqual(["search", "writes"]);
    expect(() => flags?.require("rerank")).toThrow(expect.objectContaining({ code: "unavailable", retryAfterS: 10 }) as Error);
    expect(() => flags?.require("writes")).not.toThrow();
  });

  it.each([
    ["a name that is none", '{"reranking":false}'],
    ["a value that is neither true nor false", '{"rerank":"false"}'],
    ["no object", "[]"],
    ["no JSON", "rerank: false"],
  ])("refuse to start from a file with %s, and from none at all", (_what, text) => {
    writeFileSync(file, text);
    expect(() => Flags.open(file, log)).toThrow(StartupError);
    expect(() => Flags.open(join(dir, "absent"), log)).toThrow("cannot be read");
  });

  it("follow the file as it changes, also where it is a link that moves", async () => {
    writeFileSync(join(dir, "v1"), "{}");
    writeFileSync(join(dir, "v2"), '{"search":false,"writes":false}');
    symlinkSync("v1", file);
    flags = Flags.open(file, log);
    expect(on()).toEqual(["search", "writes", "rerank"]);
    symlinkSync("v2", join(dir, "next"));
    renameSync(join(dir, "next"), file);
    await until(() => on().length === 1);
    expect(on()).toEqual(["rerank"]);
    expect(lines).toMatchObject([{ event: "flags changed", off: "search,writes" }]);
  });

  it("stay as they were where the file cannot be used any more, say so once, and follow it again", async () => {
    writeFileSync(file, '{"rerank":false}');
    flags = Flags.open(file, log);
    writeFileSync(file, '{"rerank":fal');
    await until(() => lines.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    expect(lines).toMatchObject([{ level: "error", event: "flags not usable", reason: expect.stringContaining("is not JSON") as string }]);
    expect(on()).toEqual(["search", "writes"]);
    rmSync(file);
    await until(() => lines.length > 1);
    expect(lines[1]).toMatchObject({ event: "flags not usable", reason: expect.stringContaining("cannot be read") as string });
    writeFileSync(file, "{}");
    await until(() => on().length === 3);
    expect(on()).toEqual(["search", "writes", "rerank"]);
    expect(lines.at(-1)).toMatchObject({ event: "flags changed", off: "none" });
  });
});
