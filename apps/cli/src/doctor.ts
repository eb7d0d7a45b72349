import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { connect as connectTls } from "node:tls";
import { MemsealError } from "@memseal/client";
import { parseConfig } from "@memseal/config";
import { AppError } from "@memseal/errors";
import { verifyModels } from "@memseal/inference/models";
import { FileRootKeys, loadSecret, SECRET_FILES, type SecretName } from "@memseal/keys";
import { assertSafeRole, assertSchema, listApiKeys, localDatabaseUrls, schemaStatus, SERVICE_SCHEMA, type RoleUrls } from "@memseal/storage";
import pg from "pg";
import { command, FAILED, type CommandResult } from "./command.js";
import { cliConfig, modelsDir, secretFile } from "./config.js";
import { connect, CONNECTION_ARGS, DEFAULT_URL, type ConnectionChoice } from "./connection.js";
import { table } from "./terminal.js";

type Verdict = "ok" | "absent" | "failed";

interface Check {
  what: string;
  verdict: Verdict;
  /** What was found, or what to do. */
  says: string;
}

/** Oldest release with which everything here works; engines of package.json. */
const LEAST_NODE = [20, 19] as const;

const ANSWERS_WITHIN_MS = 5_000;
const DAY_MS = 86_400_000;
/** Time enough to renew a certificate by hand. */
const RENEW_WITHIN_DAYS = 21;

export const doctorCommand = command({
  name: "doctor",
  description: "Look at everything this machine can see of a Memseal, and say what to do about what is wrong",
  args: CONNECTION_ARGS,
  run: (args) => doctor(args, process.env),
});

/** `memseal doctor`: exit code 1 if anything is wrong; what is not on this machine is no fault. */
async function doctor(choice: ConnectionChoice, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const config = parseConfig(cliConfig, env);
  const url = choice.url ?? config.MEMSEAL_URL ?? DEFAULT_URL;
  const answered = await Promise.all([database(config), models(config), gateway(url), certificate(url), apiKey(choice, env)]);
  const checks = [node(process.versions.node), ...secrets(config), ...answered.flat()];
  const failures = checks.filter(({ verdict }) => verdict === "failed").length;
  const closing = failures === 0 ? "nothing is wrong" : `${failures} of ${checks.length} checks failed`;
  return {
    text: [table(checks.map(({ what, verdict, says }) => [verdict, what, says])), "", closing].join("\n"),
    json: { ok: failures === 0, checks },
    exitCode: failures === 0 ? 0 : FAILED,
  };
}

function node(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isRecent = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  return isRecent ? ok("Node.js", version) : failed("Node.js", `${version} is too old: install ${LEAST_NODE.join(".")} or later`);
}

type Config = ReturnType<typeof parseConfig<typeof cliConfig>>;

function secrets(config: Config): Check[] {
  const dir = join(config.MEMSEAL_HOME, "secrets");
  return (Object.keys(SECRET_FILES) as SecretName[]).map((name) => {
    const file = secretFile(config, name);
    const what = `secret ${SECRET_FILES[name]}`;
    if (dirname(file) === dir && !existsSync(dir)) return absent(what, `${dir} is not there: no Memseal was started on this machine, or MEMSEAL_HOME is another`);
    return attempt(what, () => {
      if (name === "rootKey") return FileRootKeys.open(file).versions()[0].file;
      loadSecret(file);
      return file;
    });
  });
}

async function database(config: Config): Promise<Check[]> {
  const urls = databaseUrls(config);
  if (urls === undefined) return [absent("database", "none was started on this machine, and DATABASE_OWNER_URL is not set")];
  const schema = urls.owner === undefined ? [] : [await attemptAsync("database schema", async () => {
    const { schema: number, newest } = await schemaStatus(urls.owner ?? "");
    if (number !== newest) throw new AppError("failed_precondition", `at ${number}, and this release has migrations up to ${newest}: run \`memseal migrate up\`, or a newer release`);
    return `${number}, as services of this release need it (${SERVICE_SCHEMA})`;
  })];
  const roles = (["app", "auth", "scheduler"] as const).flatMap((role) => {
    const roleUrl = urls[role];
    return roleUrl === undefined ? [] : [attemptAsync(`database role ${role}`, () => inspectRole(roleUrl, role === "app"))];
  });
  const keys = urls.owner === undefined || !existsSync(dirname(secretFile(config, "rootKey"))) ? [] : [attemptAsync("API key rows", () => apiKeyRows(urls.owner ?? "", config))];
  return [...schema, ...(await Promise.all([...roles, ...keys]))];
}

/** What the indexer would refuse. */
async function apiKeyRows(url: string, config: Config): Promise<string> {
  const keys = await listApiKeys(url, FileRootKeys.open(secretFile(config, "rootKey")).macs());
  const refused = keys.filter(({ authenticity }) => authenticity !== "authentic");
  if (refused.length > 0) throw new AppError("failed_precondition", `${refused.length} of ${keys.length} are not authentic and refused: \`memseal keys list\` shows which`);
  return `all ${keys.length} are as they were written`;
}

function databaseUrls(config: Config): Partial<RoleUrls> | undefined {
  const { DATABASE_OWNER_URL: owner, DATABASE_URL: app, DATABASE_AUTH_URL: auth, DATABASE_SCHEDULER_URL: scheduler } = config;
  const given = Object.entries({ owner, app, auth, scheduler }).filter(([, url]) => url !== undefined);
  if (given.length > 0) return Object.fromEntries(given);
  const dir = join(config.MEMSEAL_HOME, "postgres");
  return existsSync(dir) ? localDatabaseUrls(dir) : undefined;
}

/** The checks that a service makes at its start. */
async function inspectRole(url: string, readsSchema: boolean): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: ANSWERS_WITHIN_MS });
  client.on("error", () => undefined);
  try {
    await client.connect().catch((cause: unknown) => { throw new AppError("unavailable", "the database cannot be reached or refuses this role: check its URL, and that it runs", { cause }); });
    await assertSafeRole(client);
    if (readsSchema) await assertSchema(client);
    return "reached; it can neither pass by row security nor change the schema";
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function models(config: Config): Promise<Check[]> {
  const files = await verifyModels(modelsDir(config));
  const wrong = files.filter(({ state }) => state !== "ok").map(({ path, state }) => failed("model", `${path} is ${state}: copy the model's folder again from a release, or pull it again`));
  return wrong.length > 0 ? wrong : [ok("models", `all ${files.length} files are those that their hashes say`)];
}

async function gateway(url: string): Promise<Check[]> {
  return Promise.all((["healthz", "readyz"] as const).map((probe) => attemptAsync(`gateway ${probe}`, async () => {
    let response: Response;
    try {
      response = await fetch(`${url.replace(/\/+$/, "")}/${probe}`, { signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) });
    } catch (cause) {
      throw new AppError("unavailable", `${url} does not answer: start Memseal, or give its address with --url or MEMSEAL_URL`, { cause });
    }
    if (response.ok) return `${url} answers`;
    throw new AppError("unavailable", probe === "readyz" ? "the gateway runs and its indexer does not serve: look at the indexer's log, and at the database" : `${url} answers HTTP ${response.status}: check the address`);
  })));
}

async function certificate(url: string): Promise<Check[]> {
  const target = URL.canParse(url) ? new URL(url) : undefined;
  if (target?.protocol !== "https:") return [];
  return [await attemptAsync("gateway certificate", async () => {
    const validTo = await certificateEnd(target.hostname, Number(target.port === "" ? 443 : target.port));
    const days = Math.floor((validTo - Date.now()) / DAY_MS);
    if (days < RENEW_WITHIN_DAYS) throw new AppError("failed_precondition", `it ends in ${days} days: renew it`);
    return `valid for ${days} more days`;
  })];
}

function certificateEnd(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port, servername: host, timeout: ANSWERS_WITHIN_MS }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to));
      socket.end();
    });
    const refuse = (cause?: unknown) => { reject(new AppError("unavailable", "no trusted TLS connection: check the certificate's name, issuer and dates", { cause })); };
    socket.once("error", refuse);
    socket.once("timeout", () => { refuse(); socket.destroy(); });
  });
}

async function apiKey(choice: ConnectionChoice, env: NodeJS.ProcessEnv): Promise<Check[]> {
  return [await attemptAsync("API key", async () => {
    try {
      const { user, keyId } = connect(choice, env);
      await user.listPage({ limit: 1 });
      return `${keyId === "" ? "it" : keyId} reads`;
    } catch (error) {
      if (!(error instanceof MemsealError)) throw error;
      switch (error.code) {
        case "unauthenticated":
          throw new AppError("unauthenticated", "the gateway does not know it: it was revoked, or belongs to another installation; `memseal keys create` makes one");
        case "permission_denied":
          throw new AppError("permission_denied", "the gateway knows it and it may not read: of a delegate key, name a user with --user");
        default:
          throw new AppError(error.code, error.message);
      }
    }
  })];
}

function ok(what: string, says: string): Check {
  return { what, verdict: "ok", says };
}

function absent(what: string, says: string): Check {
  return { what, verdict: "absent", says };
}

function failed(what: string, says: string): Check {
  return { what, verdict: "failed", says };
}

function attempt(what: string, look: () => string): Check {
  try {
    return ok(what, look());
  } catch (error) {
    return failed(what, reasonIn(error));
  }
}

async function attemptAsync(what: string, look: () => Promise<string>): Promise<Check> {
  try {
    return ok(what, await look());
  } catch (error) {
    return failed(what, reasonIn(error));
  }
}

/** Only the product's own messages, as everywhere. */
function reasonIn(error: unknown): string {
  return error instanceof AppError ? error.message : "this check itself failed";
}
