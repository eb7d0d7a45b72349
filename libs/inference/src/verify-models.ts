import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { hashFile, type FileHash } from "./file-hash.js";
import { folderOfKnown, isInstalled, readRegistry } from "./registry.js";

/** Of one file: as it must be, not there, or another file. */
export interface VerifiedFile {
  model: string;
  path: string;
  state: "ok" | "missing" | "altered";
}

const fileList = z.object({ files: z.record(z.string().regex(/^\w[\w.-]*$/), z.object({ bytes: z.number(), sha256: z.string() })) });

/**
 * Hashes every file of the models that ship and of those in `modelsDir`: by the registry, or by its own model.json where the
 * registry does not know a model.
 */
export async function verifyModels(modelsDir: string): Promise<VerifiedFile[]> {
  const registry = await readRegistry();
  const known = registry.filter((one) => one.download === undefined || isInstalled(one, modelsDir));
  const names = new Set(registry.filter(({ download }) => download !== undefined).map(({ model }) => model.name));
  const own = (await foldersIn(modelsDir)).filter((name) => !names.has(name));
  const verified = [
    ...known.map(async (one) => {
      const dir = folderOfKnown(one, modelsDir);
      const found = await parsed(join(dir, "model.json"));
      const state = found === undefined ? "missing" : isDeepStrictEqual(found, one.model) ? "ok" : "altered";
      return [{ model: one.model.name, path: join(dir, "model.json"), state } as const, ...(await verifyFiles(one.model.name, dir, one.model.files))];
    }),
    ...own.map(async (name): Promise<VerifiedFile[]> => {
      const path = join(modelsDir, name, "model.json");
      const list = fileList.safeParse(await parsed(path));
      return list.success ? verifyFiles(name, join(modelsDir, name), list.data.files) : [{ model: name, path, state: "missing" }];
    }),
  ];
  return (await Promise.all(verified)).flat();
}

async function verifyFiles(model: string, dir: string, files: Readonly<Record<string, FileHash>>): Promise<VerifiedFile[]> {
  return Promise.all(Object.entries(files).map(async ([file, expected]) => {
    const found = await hashFile(join(dir, file));
    const state = found === undefined ? "missing" : isDeepStrictEqual(found, { bytes: expected.bytes, sha256: expected.sha256 }) ? "ok" : "altered";
    return { model, path: join(dir, file), state } as const;
  }));
}

/** Names that begin with a dot are of a `pull` under way. */
async function foldersIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name);
}

async function parsed(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as unknown;
  } catch {
    return undefined;
  }
}
