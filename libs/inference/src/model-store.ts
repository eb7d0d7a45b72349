import { StartupError } from "@memseal/errors";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** What runs a graph. */
export type Provider = "cpu" | "cuda";

/** The models this library ships; the same folder seen from src and from dist. */
export const SHIPPED_MODELS_DIR = fileURLToPath(new URL("../models/", import.meta.url));

const TOKENIZER_FILE = "tokenizer.json";

// A plain name: a model folder never reaches outside itself.
const fileName = z.string().regex(/^\w[\w.-]*$/);

const common = {
  name: z.string().min(1),
  // A window must hold a speaker's name, the overlap and one whole word beside new text (tokenizer.ts).
  max_tokens: z.number().int().min(256),
  inputs: z.tuple([z.literal("input_ids"), z.literal("attention_mask"), z.literal("token_type_ids")]),
  output: z.string().min(1),
  graphs: z.object({ cpu: fileName, cuda: fileName.optional() }),
  files: z.record(fileName, z.object({ bytes: z.number().int().positive(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
};

export const SCHEMAS = {
  embedder: z.object({
    ...common,
    kind: z.literal("embedder"),
    dimension: z.number().int().positive(),
    /** Of what the graph gives; otherwise the embedder divides by the length. */
    normalized: z.boolean(),
    /** `cls`: the graph gives a vector a token, and the first is the text's. Absent: it gives the text's vector. */
    pooling: z.literal("cls").optional(),
    /** Set before each query, and before no document. */
    query_prefix: z.string().optional(),
  }),
  "cross-encoder": z.object({ ...common, kind: z.literal("cross-encoder"), max_query_tokens: z.number().int().positive() }),
} as const;

export type ModelKind = keyof typeof SCHEMAS;

/** What model.json says. `max_tokens` counts [CLS] and [SEP]; `max_query_tokens` does not. */
export type ModelSpec<K extends ModelKind = ModelKind> = z.infer<(typeof SCHEMAS)[K]>;

export interface LoadedModel<K extends ModelKind> {
  spec: ModelSpec<K>;
  /** The ONNX graph: the very bytes that were checked. */
  graph: Buffer;
  /** tokenizer.json, parsed. */
  tokenizer: unknown;
}

export interface ModelChoice<K extends ModelKind> {
  /** A name, or an absolute path. */
  model: string;
  kind: K;
  provider: Provider;
  /** Where a name is looked for before the models that ship. */
  modelsDir?: string | undefined;
}

/**
 * Reads a model and checks the size and SHA-256 of each file this provider uses.
 * @throws StartupError naming the file and what to do
 */
export async function loadModel<K extends ModelKind>({ model, kind, provider, modelsDir }: ModelChoice<K>): Promise<LoadedModel<K>> {
  const { dir, spec } = await readSpec({ model, kind, modelsDir });
  const graphFile = spec.graphs[provider];
  if (graphFile === undefined) {
    throw new StartupError(`${spec.name} has no graph for ${provider}; choose another device or another model`);
  }
  const graph = await readChecked(dir, graphFile, spec);
  const tokenizer = parseJson(await readChecked(dir, TOKENIZER_FILE, spec), join(dir, TOKENIZER_FILE));
  return { spec, graph, tokenizer };
}

/** What a model's folder says of it, and where that is. @throws StartupError */
export async function readSpec<K extends ModelKind>({ model, kind, modelsDir }: Omit<ModelChoice<K>, "provider">): Promise<{ dir: string; spec: ModelSpec<K> }> {
  const dir = folderOf(model, modelsDir);
  const specPath = join(dir, "model.json");
  const parsed = SCHEMAS[kind].safeParse(parseJson(await read(specPath), specPath));
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new StartupError(`${specPath} does not describe a model of kind ${kind} (${faults.join("; ")})`);
  }
  return { dir, spec: parsed.data as ModelSpec<K> };
}

/** @throws StartupError */
function folderOf(model: string, modelsDir: string | undefined): string {
  if (isAbsolute(model)) return model;
  const dirs = modelsDir === undefined ? [SHIPPED_MODELS_DIR] : [modelsDir, SHIPPED_MODELS_DIR];
  const dir = fileName.safeParse(model).success ? dirs.map((parent) => join(parent, model)).find((folder) => existsSync(folder)) : undefined;
  if (dir === undefined) throw new StartupError(`there is no model ${model} among those that ship${modelsDir === undefined ? "" : ` or in ${modelsDir}`}: \`memseal models verify\` names what there is`);
  return dir;
}

async function readChecked(dir: string, file: string, spec: ModelSpec): Promise<Buffer> {
  const path = join(dir, file);
  const expected = Object.hasOwn(spec.files, file) ? spec.files[file] : undefined;
  if (expected === undefined) {
    throw new StartupError(`${join(dir, "model.json")} lists no hash for ${file}; copy the model's folder again from a release`);
  }
  const bytes = await read(path);
  if (bytes.length !== expected.bytes || createHash("sha256").update(bytes).digest("hex") !== expected.sha256) {
    throw new StartupError(`${path} is not the file model.json describes; copy the model's folder again from a release`);
  }
  return bytes;
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new StartupError(
      `${path} cannot be read; copy the model's folder whole from a release, or remove that folder to use the models that ship`,
      { cause: error },
    );
  }
}

function parseJson(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new StartupError(`${path} is not JSON; copy the model's folder again from a release`, { cause: error });
  }
}
