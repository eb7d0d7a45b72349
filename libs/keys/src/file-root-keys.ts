import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { StartupError } from "@memseal/errors";
import { ApiKeyMacs } from "./api-key-macs.js";
import { FileProvider } from "./file-provider.js";
import { firstRootKeyFile, rootKeyFile, rootKeyFiles } from "./root-key-files.js";
import type { RootKeys } from "./root-keys.js";
import type { RootProvider } from "./root-provider.js";
import { createSecretFile, loadSecret, syncDirectory } from "./secret-files.js";

/** A version of the root key that lies in a file of its own. */
export interface RootKeyVersion {
  /** From 1. */
  readonly version: number;
  readonly file: string;
  readonly provider: FileProvider;
}

interface HeldVersion extends RootKeyVersion {
  /** Of this version alone. */
  readonly macs: ApiKeyMacs;
}

/**
 * Versions of the root key in files beside each other: `root.key` is the first, `root.key.v2` the second and so on, 32 random bytes
 * each. What is there is looked at whenever a key is wanted, so that a running service takes on a version that was added and lets
 * go of one that was removed.
 */
export class FileRootKeys implements RootKeys {
  /** The newest first; never empty. */
  #held: readonly HeldVersion[];
  #macs: ApiKeyMacs;

  private constructor(private readonly first: string, held: readonly HeldVersion[]) {
    this.#held = held;
    this.#macs = macsOf(held);
  }

  /** file: any version of the key, present or not. @throws StartupError where there is none, or one is not as it must be */
  static open(file: string): FileRootKeys {
    const first = firstRootKeyFile(file);
    const found = rootKeyFiles(first);
    // Of an installation without any, the file that was named is what is missed.
    if (found.size === 0) loadSecret(file);
    return new FileRootKeys(first, [...found].map(([version, at]) => load(version, at)));
  }

  current(): RootProvider {
    return this.#look()[0].provider;
  }

  find(provider: string, id: string): RootProvider | undefined {
    return this.#look().find((held) => held.provider.provider === provider && held.provider.id === id)?.provider;
  }

  versionOf(id: string): number | undefined {
    return this.#look().find((held) => held.provider.id === id)?.version;
  }

  /** What authenticates rows of API keys: made under the newest version, known under every one that is held. */
  macs(): ApiKeyMacs {
    this.#look();
    return this.#macs;
  }

  /** The newest first. */
  versions(): readonly RootKeyVersion[] {
    return this.#look();
  }

  /** Makes the next version, through to the disk. It wraps from now on, here and in every process that sees the file. @throws StartupError */
  add(): RootKeyVersion {
    const version = this.#look()[0].version + 1;
    const file = rootKeyFile(this.first, version);
    try {
      createSecretFile(file);
    } catch (cause) {
      throw new StartupError(`root key version ${version} could not be made in ${file} (${(cause as NodeJS.ErrnoException).code})`, { cause });
    }
    return this.#look()[0];
  }

  /** Removes a version's file, where it is there. Copies elsewhere, and what the disk keeps of it, are not reached. @throws StartupError */
  remove(version: number): void {
    const file = rootKeyFile(this.first, version);
    if (!existsSync(file)) return;
    try {
      rmSync(file);
      syncDirectory(dirname(file));
    } catch (cause) {
      throw new StartupError(`root key file ${file} could not be removed (${(cause as NodeJS.ErrnoException).code})`, { cause });
    }
  }

  #look(): readonly HeldVersion[] {
    let found: Map<number, string>;
    try {
      found = rootKeyFiles(this.first);
    } catch {
      // The directory is out of reach: what was read of it serves on.
      return this.#held;
    }
    const isAsBefore = found.size === this.#held.length && this.#held.every(({ version }) => found.has(version));
    if (isAsBefore) return this.#held;
    const known = new Map(this.#held.map((held) => [held.version, held]));
    const now = [...found].flatMap(([version, file]) => known.get(version) ?? tryLoad(version, file));
    // The newest is never removed by a rotation: who took it away has lost it, and what was read of it serves on.
    if (now.length === 0 || now[0].version < this.#held[0].version) return this.#held;
    this.#held = now;
    this.#macs = macsOf(now);
    return now;
  }
}

function load(version: number, file: string): HeldVersion {
  const secret = loadSecret(file);
  // What is derived of it lies outside of JavaScript; the key itself is not kept.
  try {
    return { version, file, provider: new FileProvider(secret), macs: new ApiKeyMacs(secret) };
  } finally {
    secret.zero();
  }
}

/** None of a file that is not as it must be: a service that runs is not to stop for it. It is looked at again. */
function tryLoad(version: number, file: string): HeldVersion[] {
  try {
    return [load(version, file)];
  } catch {
    return [];
  }
}

function macsOf([newest, ...older]: readonly HeldVersion[]): ApiKeyMacs {
  return new ApiKeyMacs(newest.macs, older.map(({ macs }) => macs));
}
