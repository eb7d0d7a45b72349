import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { itemsOf, linesBackwards } from "./file-lines.js";

let dir: string;
let file: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-lines-"));
  file = join(dir, "file");
});
afterAll(() => { rmSync(dir, { recursive: true }); });

async function items(content: string | Buffer): Promise<[number, string][]> {
  writeFileSync(file, content);
  const all: [number, string][] = [];
  for await (const { number, json } of itemsOf(file)) all.push([number, json]);
  return all;
}

describe("the memories of a file", () => {
  it("are its lines, empty ones counted and skipped, whatever ends them and whatever else JSON may hold", async () => {
    expect(await items('{"text":"a\u2028b"}\r\n\n{"text":"c"}\n{broken\n{"text":"d"}')).toEqual([[1, '{"text":"a\u2028b"}\r'], [3, '{"text":"c"}'], [4, "{broken"], [5, '{"text":"d"}']]);
    expect(await items("")).toEqual([]);
    expect(await items('{"memory":"one of mem0","results":"none"}')).toEqual([[1, '{"memory":"one of mem0","results":"none"}']]);
  });

  it.each([
    ["an array", '[{"memory":"a"},{"memory":"b"}]'],
    ["results on one line", '{"results":[{"memory":"a"},{"memory":"b"}]}'],
    ["results on many lines", JSON.stringify({ results: [{ memory: "a" }, { memory: "b" }] }, null, 2)],
  ])("are those of one JSON document: %s", async (_what, content) => {
    expect(await items(content)).toEqual([[1, '{"memory":"a"}'], [2, '{"memory":"b"}']]);
  });

  it("come as lines where the first of many is broken", async () => {
    expect(await items('{"text":\n{"text":"b"}\n')).toEqual([[1, '{"text":'], [2, '{"text":"b"}']]);
  });

  it("are none of a file that is no text, is not there, or has a line without end", async () => {
    await expect(items(Buffer.from([0x7b, 0xff, 0xfe]))).rejects.toThrow("is not UTF-8");
    await expect(items("x".repeat(9 * 1024 * 1024))).rejects.toThrow("each memory must have a line of its own");
    rmSync(file);
    await expect(itemsOf(file).next()).rejects.toThrow("cannot be read");
  });
});

describe("lines read backwards", () => {
  it("are those of the file, in the other order, up to where it is said to end", async () => {
    const line = fc.oneof(fc.stringMatching(/^[a-z]{1,9}$/), fc.nat(3).map((megabytes) => "x".repeat(700_000 * megabytes + 1)));
    await fc.assert(fc.asyncProperty(fc.array(line, { maxLength: 6 }), async (lines) => {
      const whole = lines.map((one) => `${one}\n`).join("");
      writeFileSync(file, `${whole}{"half of the ne`);
      const handle = await open(file, "r");
      const back: string[] = [];
      for await (const one of linesBackwards(handle, whole.length)) back.push(one.toString());
      await handle.close();
      expect(back).toEqual(lines.toReversed());
    }), { numRuns: 30 });
  });
});
