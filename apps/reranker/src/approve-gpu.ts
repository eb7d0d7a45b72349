// usage: node dist/approve-gpu.js --dir FOLDER [--manifest FILE] [--wait-s N]
// Measures the reranker that answers beside it, at MEMSEAL_RERANKER_ADDRESS and MEMSEAL_METRICS_ADDRESS (127.0.0.1:7483 and :9483), and writes what it
// found to the folder, signed by the key that MEMSEAL_CANARY_SIGNING_KEY_FILE names. Exit code 0: approved. Version and commit are those of the image's manifest.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { approve, EvidenceError, type Figure } from "@memseal/evidence";
import { z } from "zod";
import { gpuFigures } from "./gpu-figures.js";
import { p95, PAIRS, RerankLoad, timeMs, TOKENS, type RerankAddresses } from "./rerank-load.js";

const ROUNDS = 5;
const CALLS_A_ROUND = 30;
const CALLERS = [1, 4, 16];
const LOAD_MS = 2_000;
/** A call's deadline: what hangs is no figure. */
const CALL_MS = 30_000;

const MANIFEST = z.object({ version: z.string(), commit: z.string().nullable() });

const { values: { dir, manifest, "wait-s": waitS } } = parseArgs({
  options: { dir: { type: "string" }, manifest: { type: "string", default: "manifest.json" }, "wait-s": { type: "string", default: "300" } },
});
try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  if (!(error instanceof EvidenceError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function run(): Promise<boolean> {
  if (dir === undefined) throw new EvidenceError("--dir names the folder that the report is written to");
  if (!/^\d{1,5}$/.test(waitS)) throw new EvidenceError("--wait-s takes seconds");
  const { version, commit } = manifestOf(manifest);
  if (commit === null) throw new EvidenceError("this image was packed from files that are not as in a commit: it cannot be approved");
  const keyFile = process.env["MEMSEAL_CANARY_SIGNING_KEY_FILE"];
  return approve({ kind: "gpu", version: `v${version}`, commit, dir, keyFile }, async () => ({
    settings: [
      `one call at a time over gRPC, ${PAIRS} pairs of ${TOKENS} tokens each, in the same pod; ${ROUNDS} rounds of ${CALLS_A_ROUND} calls after one that warms up, and their median`,
      `throughput: so many callers, each its next call when it has its answer, ${LOAD_MS / 1_000} s`,
    ],
    figures: await measured({
      grpc: process.env["MEMSEAL_RERANKER_ADDRESS"] ?? "127.0.0.1:7483",
      metrics: process.env["MEMSEAL_METRICS_ADDRESS"] ?? "127.0.0.1:9483",
    }),
  }));
}

function manifestOf(file: string): z.infer<typeof MANIFEST> {
  try {
    return MANIFEST.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new EvidenceError(`${file} is no manifest of a pack: --manifest names it`, { cause: error });
  }
}

async function measured(addresses: RerankAddresses): Promise<Figure[]> {
  const load = await connected(addresses);
  try {
    const p95Ms: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const times: number[] = [];
      for (let i = 0; i < CALLS_A_ROUND; i++) times.push(await timeMs(() => load.rerank("one", CALL_MS)));
      if (round > 0) p95Ms.push(p95(times));
    }
    const throughput = new Map<number, number>();
    for (const callers of CALLERS) throughput.set(callers, (await load.throughput(callers, LOAD_MS)).perSecond);
    return gpuFigures({ model: load.model, provider: load.provider, p95Ms, throughput }, `${PAIRS} x ${TOKENS} tokens`);
  } finally {
    load.close();
  }
}

/** Waits for a reranker that is still loading its model. @throws EvidenceError when none is ready in time */
async function connected(addresses: RerankAddresses): Promise<RerankLoad> {
  const until = performance.now() + Number(waitS) * 1_000;
  for (;;) {
    let load: RerankLoad | undefined;
    try {
      load = await RerankLoad.connect(addresses);
      await load.rerank("one", CALL_MS);
      return load;
    } catch (error) {
      load?.close();
      if (performance.now() > until) throw new EvidenceError(`no reranker answered at ${addresses.grpc} within ${waitS} s`, { cause: error });
      await delay(500);
    }
  }
}
