import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client, MethodDefinition } from "@grpc/grpc-js";
import { ASSERTION_KEY, AssertionSigner, generateAssertionKeys, type MethodClass } from "@memseal/auth";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { ApiKeyMacs, loadSecret } from "@memseal/keys";
import { startTestDatabase, type EmbeddedTestDatabase } from "@memseal/storage/testing";
import { connect, IDEMPOTENCY_KEY, unary } from "@memseal/transport";
import { appScript, freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";

export const INDEXER_SCRIPT = appScript("indexer");

/** Longer than any caller's: a bench waits for what callers would not. */
const CALL_MS = 120_000;

/** A database and the files an indexer needs, for any number of indexer processes. */
export interface IndexerWorld {
  readonly database: EmbeddedTestDatabase;
  readonly signer: AssertionSigner;
  /** As `memseal keys create` authenticates API keys. */
  readonly keyMacs: ApiKeyMacs;
  /** Variables of a working indexer, but for its address. */
  readonly env: Readonly<Record<string, string>>;
  /** change: variables of this process alone. */
  start(change?: Readonly<Record<string, string>>): Promise<RunningIndexer>;
}

export interface RunningIndexer {
  readonly process: ServiceProcess;
  /** A call as the gateway would make it for `tenant`. */
  call<Request, Response>(method: MethodDefinition<Request, Response>, access: MethodClass, tenant: UserHash, request: Request, idempotencyKey?: string): Promise<Response>;
  readonly client: Client;
}

export async function createIndexerWorld(): Promise<IndexerWorld> {
  const database = await startTestDatabase();
  const file = (name: string, content: string | Buffer) => {
    const path = join(database.dir, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const keys = generateAssertionKeys();
  const signer = AssertionSigner.load(file("assertion.key", keys.privateKey));
  const env = {
    DATABASE_URL: database.urls.app,
    DATABASE_AUTH_URL: database.urls.auth,
    DATABASE_SCHEDULER_URL: database.urls.scheduler,
    MEMSEAL_ROOT_KEY_FILE: database.rootKeyFile,
    MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: file("assertion.pub", keys.publicKey),
  };
  return {
    database,
    signer,
    keyMacs: new ApiKeyMacs(loadSecret(env.MEMSEAL_ROOT_KEY_FILE)),
    env,
    async start(change = {}) {
      const address = `127.0.0.1:${await freePort()}`;
      const process = await startProcess(INDEXER_SCRIPT, { ...env, MEMSEAL_INDEXER_ADDRESS: address, ...change });
      const client = connect(address);
      return {
        process,
        client,
        async call(method, access, tenant, request, idempotencyKey) {
          const assertion = await signer.sign({ tenant, actor: "api-key test", scopes: [access], method: access });
          return unary(client, method, request, { peer: "indexer", deadlineMs: Date.now() + CALL_MS, metadata: { [ASSERTION_KEY]: assertion, ...(idempotencyKey && { [IDEMPOTENCY_KEY]: idempotencyKey }) } });
        },
      };
    },
  };
}

export const newTenant = (): UserHash => parseUserHash(randomBytes(32).toString("hex"));
