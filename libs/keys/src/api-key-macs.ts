import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto";
import { hkdf, type SecretBytes } from "@memseal/crypto";

/** Microseconds since 1970 in decimal, as the database has them: a Date would drop three digits. */
export type Microseconds = string;

/** All that the row of an API key says: each of it decides whom the key opens, for what or for how long. */
export interface ApiKeyRow {
  keyId: string;
  secretHash: Uint8Array;
  /** null for a delegate key, which is bound to no user. */
  userHash: Uint8Array | null;
  namespace: string;
  scopes: readonly string[];
  createdAt: Microseconds;
  expiresAt: Microseconds | null;
  revokedAt: Microseconds | null;
}

/** What was done to an API key. */
export interface ApiKeyEvent {
  /** From 1, without a gap. */
  n: number;
  at: Microseconds;
  action: string;
  keyId: string;
}

interface MacKeys {
  rows: KeyObject;
  events: KeyObject;
}

/**
 * What shows that rows of API keys, and the chain of what was done to them, are as somebody with the root key wrote them:
 * HMAC-SHA256 under two keys that HKDF makes of it for this alone.
 */
export class ApiKeyMacs {
  readonly #current: MacKeys;
  readonly #all: readonly MacKeys[];

  /** root: the version of the root key that MACs are made under, or who has its keys. older: of those that a MAC may be of, too. */
  constructor(root: SecretBytes | ApiKeyMacs, older: readonly ApiKeyMacs[] = []) {
    this.#current = root instanceof ApiKeyMacs ? root.#current : macKeysOf(root);
    this.#all = [this.#current, ...older.map((macs) => macs.#current)];
  }

  /** 32 bytes over every column. */
  ofRow(row: ApiKeyRow): Buffer {
    return macOf(this.#current.rows, partsOfRow(row));
  }

  /** Whether a row is the one that this MAC was made for. */
  isOfRow(row: ApiKeyRow, mac: Uint8Array): boolean {
    return this.#all.some(({ rows }) => isEqual(macOf(rows, partsOfRow(row)), mac));
  }

  /** 32 bytes over an event and the MAC before it; none before the first. */
  ofEvent(event: ApiKeyEvent, before: Uint8Array | undefined): Buffer {
    return macOf(this.#current.events, partsOfEvent(event, before));
  }

  /** Whether an event that follows `before` is the one that this MAC was made for. */
  isOfEvent(event: ApiKeyEvent, before: Uint8Array | undefined, mac: Uint8Array): boolean {
    return this.#all.some(({ events }) => isEqual(macOf(events, partsOfEvent(event, before)), mac));
  }
}

function macKeysOf(rootKey: SecretBytes): MacKeys {
  const derive = (use: string) => createSecretKey(hkdf(rootKey.reveal(), Buffer.from(`memseal/v1/root/${use}`)));
  return { rows: derive("api-key-row"), events: derive("api-key-event") };
}

function partsOfRow({ keyId, secretHash, userHash, namespace, scopes, createdAt, expiresAt, revokedAt }: ApiKeyRow): (string | Uint8Array | null)[] {
  return [keyId, secretHash, userHash, namespace, createdAt, expiresAt, revokedAt, ...scopes];
}

function partsOfEvent({ n, at, action, keyId }: ApiKeyEvent, before: Uint8Array | undefined): (string | Uint8Array | null)[] {
  return [before ?? null, String(n), at, action, keyId];
}

function isEqual(expected: Buffer, mac: Uint8Array): boolean {
  return mac.byteLength === expected.byteLength && timingSafeEqual(expected, mac);
}

/** Each part as 0x00 where it is absent, else 0x01 | length u32 | bytes: no two lists of parts are the same bytes. */
function macOf(key: KeyObject, parts: readonly (string | Uint8Array | null)[]): Buffer {
  const mac = createHmac("sha256", key);
  for (const part of parts) {
    if (part === null) {
      mac.update(Buffer.of(0));
      continue;
    }
    const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part;
    const head = Buffer.of(1, 0, 0, 0, 0);
    head.writeUInt32BE(bytes.byteLength, 1);
    mac.update(head).update(bytes);
  }
  return mac.digest();
}
