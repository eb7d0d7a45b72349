import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@memseal/errors";
import { z } from "zod";
import { SCHEMAS, SHIPPED_MODELS_DIR, type ModelSpec } from "./model-store.js";

const download = z.object({
  repository: z.string().regex(/^[\w-]+\/[\w.-]+$/),
  /** A commit: what it names never changes. */
  revision: z.string().regex(/^[0-9a-f]{40}$/),
  /** Where each file is in the repository. What is not here is a copy of the shipped embedder's file of that name. */
  paths: z.record(z.string(), z.string().regex(/^[\w./-]+$/)),
});

const registry = z.object({
  models: z.array(z.object({
    /** Absent: it ships with the product. */
    download: download.optional(),
    /** Its model.json. */
    model: z.discriminatedUnion("kind", [SCHEMAS.embedder.loose(), SCHEMAS["cross-encoder"].loose()]),
  })),
});

export type Download = z.infer<typeof download>;

/** A model that is known by name, with the size and SHA-256 of every file of it. */
export interface KnownModel {
  download?: Download | undefined;
  model: ModelSpec;
}

/** The models that ship and those that `pull` can fetch. */
export async function readRegistry(): Promise<KnownModel[]> {
  return registry.parse(JSON.parse(await readFile(join(SHIPPED_MODELS_DIR, "registry.json"), "utf8"))).models;
}

/** @throws AppError not_found that lists the names there are */
export async function knownModel(name: string): Promise<KnownModel> {
  const models = await readRegistry();
  const known = models.find(({ model }) => model.name === name);
  if (known === undefined) throw new AppError("not_found", `there is no model ${name}: known are ${models.map(({ model }) => model.name).join(", ")}`);
  return known;
}

/** Where a known model is, or would be. */
export function folderOfKnown({ download: fetched, model }: KnownModel, modelsDir: string): string {
  return join(fetched === undefined ? SHIPPED_MODELS_DIR : modelsDir, model.name);
}

export function isInstalled(known: KnownModel, modelsDir: string): boolean {
  return existsSync(folderOfKnown(known, modelsDir));
}
