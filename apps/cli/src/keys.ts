import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatApiKey, generateApiKey, hashApiKeySecret, SCOPES } from "@memseal/auth";
import { parseConfig } from "@memseal/config";
import { userHash } from "@memseal/crypto";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import { loadSecret, SECRET_FILES } from "@memseal/keys";
import { createApiKey } from "@memseal/storage";
import { cliConfig, ownerUrl } from "./config.js";

/** Scopes of a key that is bound to one user. */
const USER_SCOPES = SCOPES.filter((scope) => scope === "read" || scope === "write");

/**
 * `memseal keys create`: makes a key as the database's owner and returns it. It is shown this once: only a hash
 * of its secret and of the user's id is kept.
 */
export async function keys([action, ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  if (action !== "create") throw new InvalidArgumentError("keys", "the action is `create`");
  const { user, scopes } = parseCreate(args);
  const config = parseConfig(cliConfig, env);
  const secrets = join(config.MEMSEAL_HOME, "secrets");
  const tenantSecret = loadSecret(config.MEMSEAL_TENANT_SECRET_FILE ?? join(secrets, SECRET_FILES.tenantSecret));
  const pepper = loadSecret(config.MEMSEAL_PEPPER_FILE ?? join(secrets, SECRET_FILES.pepper));

  const key = generateApiKey();
  await createApiKey(ownerUrl(config), {
    keyId: key.keyId,
    secretHash: hashApiKeySecret(pepper, key.secret),
    tenant: userHash(tenantSecret, user),
    namespace: "default",
    scopes,
  });
  return formatApiKey(key);
}

function parseCreate(args: readonly string[]): { user: string; scopes: string[] } {
  let values: { user?: string; scopes?: string };
  try {
    ({ values } = parseArgs({ args: [...args], options: { user: { type: "string" }, scopes: { type: "string" } } }));
  } catch (error) {
    throw new AppError("invalid_argument", "keys create takes --user <id> and --scopes read,write", { cause: error });
  }
  if (values.user === undefined) throw new InvalidArgumentError("--user", "must be given");
  const scopes = values.scopes === undefined ? USER_SCOPES : values.scopes.split(",");
  const unknown = scopes.find((scope) => !USER_SCOPES.some((known) => known === scope));
  if (unknown !== undefined) throw new InvalidArgumentError("--scopes", `are ${USER_SCOPES.join(" and ")}, comma-separated`);
  return { user: values.user, scopes: [...scopes] };
}
