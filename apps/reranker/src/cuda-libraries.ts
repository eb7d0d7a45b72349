import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { StartupError } from "@memseal/errors";

/** What onnxruntime loads to run a graph on a GPU; its npm package holds neither (docs/deploy.md, "Images"). */
const PROVIDERS = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;

/** Comes with the driver, from the host; where an image is built there is none. */
const OF_THE_DRIVER = "libcuda.so.1";

export interface CudaSpec {
  /** Of onnxruntime's libraries. */
  readonly folder: string;
  /** CUDA's major version in the image. */
  readonly major: number;
  /** Where CUDA's libraries are looked for; not looked for without. */
  readonly libraryFolders?: readonly string[];
}

/**
 * The libraries of CUDA that onnxruntime was linked with, such as `libcudart.so.12`.
 * @throws StartupError where a provider is missing, was built for another CUDA, or a library of CUDA is not where it is looked for
 */
export function assertCuda({ folder, major, libraryFolders }: CudaSpec): string[] {
  for (const name of PROVIDERS) if (!existsSync(join(folder, name))) throw new StartupError(`${name} is not in ${folder}: install onnxruntime's CUDA providers`);
  const needed = neededBy(readFileSync(join(folder, PROVIDERS[1]))).filter((name) => /^libcu/.test(name) && name !== OF_THE_DRIVER);
  const runtime = needed.find((name) => name.startsWith("libcudart.so."));
  if (runtime !== `libcudart.so.${major}`) throw new StartupError(`onnxruntime's CUDA provider needs ${runtime ?? "no CUDA runtime"}, and this is CUDA ${major}`);
  const missing = libraryFolders === undefined ? [] : needed.filter((name) => !libraryFolders.some((path) => existsSync(join(path, name))));
  if (missing.length > 0) throw new StartupError(`onnxruntime's CUDA provider needs ${missing.join(", ")}, which is not in ${libraryFolders?.join(" or ")}`);
  return needed;
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

/** Names of the libraries that an ELF file of 64 bits, little-endian, is linked with. Source: System V ABI, chapters 4 and 5. @throws StartupError for anything else */
export function neededBy(file: Buffer): string[] {
  if (file.subarray(0, 6).toString("latin1") !== "\x7fELF\x02\x01") throw new StartupError("onnxruntime's CUDA provider is no library for this machine");
  const number = (at: number) => Number(file.readBigUInt64LE(at));
  const segments = Array.from({ length: file.readUInt16LE(56) }, (_, i) => {
    const at = number(32) + i * file.readUInt16LE(54);
    return { type: file.readUInt32LE(at), offset: number(at + 8), address: number(at + 16), bytes: number(at + 32) };
  });
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  const entries = dynamic === undefined ? [] : Array.from({ length: dynamic.bytes / 16 }, (_, i) => ({ tag: number(dynamic.offset + i * 16), value: number(dynamic.offset + i * 16 + 8) }));
  const names = entries.find(({ tag }) => tag === DT_STRTAB)?.value ?? 0;
  const loaded = segments.find(({ type, address, bytes }) => type === PT_LOAD && address <= names && names < address + bytes);
  if (loaded === undefined) return [];
  return entries.filter(({ tag }) => tag === DT_NEEDED).map(({ value }) => {
    const start = loaded.offset + names - loaded.address + value;
    return file.toString("latin1", start, file.indexOf(0, start));
  });
}
