import { parseConfig } from "@memseal/config";
import { InvalidArgumentError } from "@memseal/errors";
import { destroyRootKey, listRootKeys, rotateRootKey } from "@memseal/storage";
import { FAILED, UsageError, type CommandResult } from "./command.js";
import { cliConfig, openRootKeys, ownerUrl, schedulerUrl } from "./config.js";
import { table } from "./terminal.js";

/** `memseal keys roots`: every version of the root key that a rotation has recorded. */
export async function listRoots(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const config = parseConfig(cliConfig, env);
  const records = await listRootKeys(ownerUrl(config));
  const held = openRootKeys(config).versions();
  const rows = records.map(({ version, id, createdAt, rotatedAt, destroyedAt }) => ({
    version, root_key_id: id, held: held.some((one) => one.provider.id === id), created_at: createdAt.toISOString(),
    rotated_at: rotatedAt?.toISOString() ?? null, destroyed_at: destroyedAt?.toISOString() ?? null,
  }));
  return {
    text: rows.length === 0
      ? "the root key was never rotated: there is one version"
      : table([["version", "root key id", "file", "created", "rotated", "destroyed"], ...rows.map((row) => [String(row.version), row.root_key_id, row.held ? "here" : "-", row.created_at, row.rotated_at ?? "-", row.destroyed_at ?? "-"])]),
    json: rows,
  };
}

/**
 * `memseal keys rotate-root`: a new version of the root key, and every living tenant's key wrapped by it; or the end of a rotation that was
 * begun. prepare: the version alone, to be copied to other machines. resume: no new version. Exit code 1 where a key does not open.
 */
export async function rotateRoot({ prepare = false, resume = false }: { prepare?: boolean | undefined; resume?: boolean | undefined }, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  if (prepare && resume) throw new UsageError("keys rotate-root takes --prepare or --resume, not both");
  const config = parseConfig(cliConfig, env);
  const roots = openRootKeys(config);
  const rotation = await rotateRootKey({ owner: ownerUrl(config), scheduler: schedulerUrl(config) }, roots, prepare ? "prepare" : resume ? "resume" : "rotate");
  const { version, id, isNew, rewrapped, unopened } = rotation;
  const { file } = roots.versions()[0];
  return {
    text: [
      ...(isNew ? [`made root key version ${version} in ${file}: back it up`] : []),
      prepare
        ? `copy ${file} beside the root key of every indexer, then run \`memseal keys rotate-root\``
        : `wrapped ${rewrapped} tenant ${rewrapped === 1 ? "key" : "keys"} by root key version ${version}`,
      ...(unopened > 0 ? [`${unopened} tenant ${unopened === 1 ? "key does" : "keys do"} not open and stay as they are: see docs/operations.md`] : []),
    ].join("\n"),
    json: { version, root_key_id: id, made: isNew, rewrapped, unopened },
    exitCode: unopened > 0 ? FAILED : 0,
  };
}

/** `memseal keys destroy-root`. @throws AppError failed_precondition while a living tenant's key is wrapped by it */
export async function destroyRoot(given: string, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  if (!/^[1-9]\d{0,3}$/.test(given)) throw new InvalidArgumentError("keys destroy-root", "takes the number of a version: `memseal keys roots` shows them");
  const config = parseConfig(cliConfig, env);
  const { version, id, destroyedAt } = await destroyRootKey(ownerUrl(config), openRootKeys(config), Number(given));
  const at = destroyedAt.toISOString();
  return {
    text: `root key version ${version} is destroyed since ${at}: backups whose keys it wrapped do not open, unless another copy of it is left`,
    json: { version, root_key_id: id, destroyed_at: at },
  };
}
