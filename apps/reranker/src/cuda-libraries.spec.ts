import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { StartupError } from "@memseal/errors";
import { assertCuda, neededBy } from "./cuda-libraries.js";

/** The smallest ELF file that is linked with these. */
function library(needed: readonly string[]): Buffer {
  const base = 0x10000;
  const [headerBytes, segmentBytes] = [64, 56];
  const dynamicAt = headerBytes + 2 * segmentBytes;
  const namesAt = dynamicAt + (needed.length + 2) * 16;
  const names = ["", ...needed].map((name) => `${name}\0`);
  const file = Buffer.alloc(namesAt + names.join("").length);
  file.write("\x7fELF\x02\x01\x01", 0, "latin1");
  file.writeBigUInt64LE(BigInt(headerBytes), 32);
  file.writeUInt16LE(segmentBytes, 54);
  file.writeUInt16LE(2, 56);
  const segment = (i: number, type: number, offset: number, bytes: number) => {
    const at = headerBytes + i * segmentBytes;
    file.writeUInt32LE(type, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(BigInt(base + offset), at + 16);
    file.writeBigUInt64LE(BigInt(bytes), at + 32);
  };
  segment(0, 1, 0, file.length);
  segment(1, 2, dynamicAt, namesAt - dynamicAt);
  const entries = [...needed.map((_, i) => [1, names.slice(0, i + 1).join("").length]), [5, base + namesAt], [0, 0]];
  for (const [i, [tag, value]] of entries.entries()) {
    file.writeBigUInt64LE(BigInt(tag), dynamicAt + i * 16);
    file.writeBigUInt64LE(BigInt(value), dynamicAt + i * 16 + 8);
  }
  file.write(names.join(""), namesAt, "latin1");
  return file;
}

const SHIPPED = join(dirname(dirname(createRequire(import.meta.url).resolve("onnxruntime-node"))), "bin/napi-v6", process.platform, process.arch);
const LINKED = ["libcublas.so.12", "libcudart.so.12", "libcudnn.so.9", "libcuda.so.1", "libstdc++.so.6"];

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "memseal-cuda-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function install(needed: readonly string[] = LINKED): void {
  writeFileSync(join(folder, "libonnxruntime_providers_shared.so"), "");
  writeFileSync(join(folder, "libonnxruntime_providers_cuda.so"), library(needed));
}

describe("CUDA in an image", () => {
  it("is there: the providers, for this CUDA, and every library but the driver's where it is looked for", () => {
    install();
    for (const name of ["libcublas.so.12", "libcudart.so.12", "libcudnn.so.9"]) writeFileSync(join(folder, name), "");
    expect(assertCuda({ folder, major: 12, libraryFolders: ["/nowhere", folder] })).toEqual(["libcublas.so.12", "libcudart.so.12", "libcudnn.so.9"]);
  });

  it.each([["libonnxruntime_providers_shared.so"], ["libonnxruntime_providers_cuda.so"]])("is refused without %s", (name) => {
    install();
    rmSync(join(folder, name));
    expect(() => assertCuda({ folder, major: 12 })).toThrow(`${name} is not in ${folder}`);
  });

  it.each([[11, "needs libcudart.so.12, and this is CUDA 11"], [13, "needs libcudart.so.12, and this is CUDA 13"]])("is refused for CUDA %d", (major, reason) => {
    install();
    expect(() => assertCuda({ folder, major })).toThrow(reason);
  });

  it("is refused where a provider is linked with no CUDA", () => {
    install(["libc.so.6"]);
    expect(() => assertCuda({ folder, major: 12 })).toThrow("needs no CUDA runtime");
  });

  it("is refused where a library of CUDA is missing", () => {
    install();
    writeFileSync(join(folder, "libcudart.so.12"), "");
    expect(() => assertCuda({ folder, major: 12, libraryFolders: [folder] })).toThrow(`needs libcublas.so.12, libcudnn.so.9, which is not in ${folder}`);
  });

  it("is refused where a provider is something else", () => {
    install();
    writeFileSync(join(folder, "libonnxruntime_providers_cuda.so"), "#!/bin/sh\n");
    expect(() => assertCuda({ folder, major: 12 })).toThrow(StartupError);
  });

  it("is not in onnxruntime's npm package", () => {
    expect(() => assertCuda({ folder: SHIPPED, major: 12 })).toThrow("install onnxruntime's CUDA providers");
  });

  it("is read from real libraries, too", () => {
    expect(neededBy(readFileSync(join(SHIPPED, "onnxruntime_binding.node")))).toEqual(expect.arrayContaining(["libonnxruntime.so.1", "libstdc++.so.6"]));
  });
});
