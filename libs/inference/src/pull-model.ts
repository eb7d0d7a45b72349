import { createWriteStream } from "node:fs";
import { copyFile, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { AppError, UnavailableError } from "@memseal/errors";
import { hashFile, type FileHash } from "./file-hash.js";
import { SHIPPED_MODELS_DIR } from "./model-store.js";
import { folderOfKnown, isInstalled, type Download, type KnownModel } from "./registry.js";

/** Whose tokenizer.json the others share. */
const SHIPPED_EMBEDDER = "all-minilm-l6-v2";

const ATTEMPTS = 4;
const BASE_DELAY_MS = 500;
/** Without a byte for so long, an attempt has failed. */
const IDLE_MS = 30_000;

export interface PullOptions {
  modelsDir: string;
  /** `https://huggingface.co`, or a mirror that has the same paths. */
  hub: string;
  /** Of the file that is fetched. */
  onProgress?: (progress: { file: string; bytes: number; of: number }) => void;
  /** Before the second attempt; doubled before each further one. */
  baseDelayMs?: number;
}

/**
 * Fetches a model's files at its pinned revision into `modelsDir`, each checked by size and SHA-256 before the folder is moved in place;
 * what an earlier call left half is gone on with. False where the model is there already.
 * @throws AppError failed_precondition for a model that ships, UnavailableError where the hub cannot be reached, AppError data_loss
 * for a file that is not the one the registry describes
 */
export async function pullModel(known: KnownModel, options: PullOptions): Promise<boolean> {
  const { download, model } = known;
  const { modelsDir } = options;
  if (download === undefined) throw new AppError("failed_precondition", `${model.name} ships with Memseal: there is nothing to fetch`);
  if (isInstalled(known, modelsDir)) return false;
  const partial = join(modelsDir, `.pull-${model.name}`);
  await mkdir(partial, { recursive: true, mode: 0o700 });
  for (const [file, expected] of Object.entries(model.files)) {
    const path = download.paths[file];
    if (path === undefined) await copyFile(join(SHIPPED_MODELS_DIR, SHIPPED_EMBEDDER, file), join(partial, file));
    else await fetchFile(join(partial, file), urlOf(download, path, options.hub), { file, expected }, options);
    await assertIs(join(partial, file), expected);
  }
  await writeFile(join(partial, "model.json"), `${JSON.stringify(model, undefined, 2)}\n`);
  await rename(partial, folderOfKnown(known, modelsDir));
  return true;
}

function urlOf({ repository, revision }: Download, path: string, hub: string): string {
  return `${hub.replace(/\/$/, "")}/${repository}/resolve/${revision}/${path}`;
}

/** @throws AppError data_loss, with the file gone, so that the next call begins anew */
async function assertIs(path: string, { bytes, sha256 }: FileHash): Promise<void> {
  const found = await hashFile(path);
  if (found?.bytes === bytes && found.sha256 === sha256) return;
  await rm(path, { force: true });
  throw new AppError("data_loss", `${path} is not the file that the registry describes (its SHA-256 differs): it was removed, and nothing was installed`);
}

interface Wanted {
  file: string;
  expected: FileHash;
}

/** As many attempts as it takes, at most four without a new byte. */
async function fetchFile(path: string, url: string, wanted: Wanted, { onProgress, baseDelayMs = BASE_DELAY_MS }: PullOptions): Promise<void> {
  let before = await sizeOf(path);
  for (let attempt = 1; (await sizeOf(path)) < wanted.expected.bytes; attempt++) {
    try {
      await fetchRest(path, url, wanted, onProgress);
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (error instanceof TooLong) {
        await rm(path, { force: true });
        throw new AppError("data_loss", `${url} is longer than the file that the registry describes: nothing was installed`);
      }
      const now = await sizeOf(path);
      if (now > before) attempt = 1;
      before = now;
      if (attempt >= ATTEMPTS) throw new UnavailableError(`${url} cannot be fetched; what is there is kept, and the next call goes on`, { cause: error });
      await delay(baseDelayMs * 2 ** (attempt - 1));
    }
  }
}

/** @throws AppError where trying again cannot help; another error where the connection ended too early */
async function fetchRest(path: string, url: string, { file, expected }: Wanted, onProgress: PullOptions["onProgress"]): Promise<void> {
  const have = await sizeOf(path);
  const idle = new AbortController();
  const watch = setTimeout(() => { idle.abort(); }, IDLE_MS);
  try {
    const response = await fetch(url, { signal: idle.signal, headers: have === 0 ? {} : { range: `bytes=${have}-` } });
    if (response.status >= 400 && response.status < 500 && response.status !== 429) {
      throw new AppError("not_found", `${url} is not there (${response.status}): set MEMSEAL_MODEL_HUB to a hub that has it`);
    }
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    // A server that ignores the range, or answers another one, sends all of it again.
    const goesOn = response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`) === true;
    if (response.status === 206 && !goesOn) throw new Error("another range");
    let bytes = goesOn ? have : 0;
    const counted = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        watch.refresh();
        bytes += chunk.byteLength;
        if (bytes > expected.bytes) throw new TooLong();
        onProgress?.({ file, bytes, of: expected.bytes });
        yield chunk;
      }
    };
    await pipeline(counted(response.body as unknown as AsyncIterable<Uint8Array>), createWriteStream(path, { flags: goesOn ? "a" : "w", mode: 0o600 }));
    if (bytes < expected.bytes) throw new Error("ended early");
  } finally {
    clearTimeout(watch);
  }
}

class TooLong extends Error {}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(({ size }) => size, () => 0);
}
