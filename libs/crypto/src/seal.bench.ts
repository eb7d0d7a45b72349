import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { encodeEmbedding } from "./embedding.js";
import { FIELD, type Place } from "./envelope.js";
import { freeBuffersInline } from "./free-buffers-inline.js";
import { generateKey } from "./key-material.js";
import { Keyring } from "./keyring.js";
import { open, seal } from "./seal.js";
import { TenantKey } from "./tenant-key.js";
import { chunkRowId, parseUserHash } from "./tenant.js";

const ROUNDS = 7;
const SECONDS = 0.3;
const SIZES = [200, 1_024, 6_144];
const DIMENSION = 1_536;
const METADATA_BYTES = 200;
const TEXT_BYTES = 1_024;

export const title = "Sealing: operations per CPU-second, and over openssl and a Python reference in the same run";
export const settings = [
  `medians and spread of ${ROUNDS} alternating rounds; a whole memory is ${TEXT_BYTES} B of text, ${METADATA_BYTES} B of metadata and a ${DIMENSION}-d vector`,
];

const python = fileURLToPath(new URL("seal.bench.py", import.meta.url));
const keyring = new Keyring(new TenantKey(generateKey()));
const tenant = parseUserHash("ab".repeat(32));
const rowId = randomBytes(16);
const MEMORY_ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const place: Place = { tenant, rowId, field: FIELD.text, rowVersion: 1 };

interface Figure {
  what: string;
  /** One a round. */
  values: number[];
  unit: string;
  commit?: number;
  aim?: number;
  note?: string;
}

export function run(): Figure[] {
  // As the indexer does.
  freeBuffersInline();
  const rounds = new Map<string, number[]>();
  const add = (name: string, value: number) => rounds.set(name, [...(rounds.get(name) ?? []), value]);
  const reference = pythonReference(0);
  // One round of everything before the next of anything: what else the machine does meets all alike.
  for (let round = 0; round < ROUNDS; round++) {
    for (const size of SIZES) {
      const plaintext = randomBytes(size);
      const blob = seal(plaintext, keyring, place);
      const openssl = opensslRate(size);
      const sealing = rate(() => seal(plaintext, keyring, place));
      const opening = rate(() => open(blob, keyring, place));
      add(`seal ${size}`, sealing);
      add(`open ${size}`, opening);
      add(`openssl ${size}`, openssl);
      add(`seal ${size} ratio`, sealing / openssl);
      add(`open ${size} ratio`, opening / openssl);
    }
    const whole = rate(sealMemory);
    const { rowsPerSecond } = pythonReference(SECONDS);
    add("memory", whole);
    add("python", rowsPerSecond);
    add("memory ratio", whole / rowsPerSecond);
  }
  const figure = (what: string, name: string, unit: string, targets: Pick<Figure, "commit" | "aim" | "note"> = {}): Figure => ({ what, values: rounds.get(name) ?? [], unit, ...targets });
  return [
    ...SIZES.flatMap((size) => [
      figure(`openssl speed, ${size} B`, `openssl ${size}`, "op/s"),
      figure(`seal ${size} B`, `seal ${size}`, "op/s"),
      figure(`open ${size} B`, `open ${size}`, "op/s"),
      figure(`seal ${size} B over openssl`, `seal ${size} ratio`, "x", size === 1_024 ? { commit: 0.08, aim: 0.13 } : {}),
      figure(`open ${size} B over openssl`, `open ${size} ratio`, "x", size === 1_024 ? { commit: 0.1, aim: 0.2 } : {}),
    ]),
    figure("reference's steps in Python", "python", "rows/s", { note: reference.versions }),
    figure("whole memory sealed", "memory", "rows/s"),
    figure("whole memory over the reference", "memory ratio", "x", { commit: 10, aim: 25 }),
  ];
}

const text = randomBytes(TEXT_BYTES);
const metadata = randomBytes(METADATA_BYTES);
const vector = Float32Array.from({ length: DIMENSION }, () => Math.random() - 0.5);
const memoryRow = { tenant, rowId, rowVersion: 1 };

function sealMemory(): void {
  seal(text, keyring, { ...memoryRow, field: FIELD.text });
  seal(metadata, keyring, { ...memoryRow, field: FIELD.metadata });
  seal(encodeEmbedding({ start: 0, end: TEXT_BYTES, vector }), keyring, { tenant, rowId: chunkRowId(MEMORY_ID, 1, 0), field: FIELD.embedding, rowVersion: 1 });
}

/** Operations per second of this process's CPU time, garbage collection included, as `openssl speed` counts by default. */
function rate(operation: () => unknown): number {
  const startedAt = process.cpuUsage();
  const cpuSeconds = () => {
    const { user, system } = process.cpuUsage(startedAt);
    return (user + system) / 1e6;
  };
  let operations = 0;
  while (cpuSeconds() < SECONDS) {
    for (let i = 0; i < 500; i++) operation();
    operations += 500;
  }
  return operations / cpuSeconds();
}

function opensslRate(size: number): number {
  const { stdout, stderr } = spawnSync("openssl", ["speed", "-mr", "-evp", "aes-256-gcm", "-bytes", String(size), "-seconds", "1"], { encoding: "utf8" });
  // Machine-readable: +F:<algorithm number>:<name>:<bytes per second>
  const bytesPerSecond = Number(/^\+F:\d+:[^:]+:([\d.]+)/m.exec(stdout)?.[1]);
  if (!(bytesPerSecond > 0)) throw new Error(`openssl speed gave no figure: ${stderr.slice(0, 200)}`);
  return bytesPerSecond / size;
}

function pythonReference(seconds: number): { rowsPerSecond: number; versions: string } {
  const { stdout, stderr } = spawnSync("/usr/bin/python3", [python, String(seconds)], { encoding: "utf8" });
  if (stdout === "") throw new Error(`the Python reference did not run (Debian: apt-get install python3-cryptography): ${stderr.slice(0, 300)}`);
  return JSON.parse(stdout) as { rowsPerSecond: number; versions: string };
}
