import { z } from "zod";
import { PackError } from "./pack-error.js";

const LOCK = z.object({
  packages: z.record(z.string(), z.object({
    version: z.string().optional(),
    dev: z.boolean().optional(),
    os: z.array(z.string()).optional(),
    cpu: z.array(z.string()).optional(),
    libc: z.array(z.string()).optional(),
    dependencies: z.record(z.string(), z.string()).default({}),
    optionalDependencies: z.record(z.string(), z.string()).default({}),
    peerDependencies: z.record(z.string(), z.string()).default({}),
    peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean().optional() })).default({}),
  })),
});

type LockedPackage = z.infer<typeof LOCK>["packages"][string];

/** What a pack is made for: as in process.platform and process.arch; Linux means glibc. */
export interface Platform {
  readonly os: string;
  readonly cpu: string;
}

/** package-lock.json: which version of what `npm ci` puts where. */
export class Lock {
  readonly #packages: Readonly<Record<string, LockedPackage>>;

  constructor(text: string) {
    this.#packages = LOCK.parse(JSON.parse(text)).packages;
  }

  /** @throws PackError for a folder that the lock does not know */
  versionOf(folder: string): string {
    const { version } = this.#packages[folder] ?? {};
    if (version === undefined) throw new PackError(`package-lock.json has no ${folder}`);
    return version;
  }

  /**
   * The folders (`node_modules/pg`) of these packages and of all that they need to run. A peer that its package can do without is
   * needed where this workspace depends on it itself: Nest loads its transports so.
   * @throws PackError for what is not locked, or is locked for development alone
   */
  productionFolders(names: Iterable<string>, platform: Platform): string[] {
    const folders = new Set<string>();
    const add = (name: string, from: string, isOptional: boolean): void => {
      const folder = this.#find(name, from);
      if (folder === undefined && isOptional) return;
      if (folder === undefined) throw new PackError(`package-lock.json has no ${name} for ${from === "" ? "this workspace" : from}`);
      const locked = this.#packages[folder];
      if (isOptional && !fits(locked, platform)) return;
      if (locked.dev === true) throw new PackError(`${folder} is installed for development alone, and production needs it`);
      if (folders.has(folder)) return;
      folders.add(folder);
      const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = locked;
      for (const dependency of Object.keys(dependencies)) add(dependency, folder, Object.hasOwn(optionalDependencies, dependency));
      for (const dependency of Object.keys(optionalDependencies)) add(dependency, folder, true);
      for (const peer of Object.keys(peerDependencies)) {
        if (peerDependenciesMeta[peer]?.optional !== true || Object.hasOwn(this.#packages[""].dependencies, peer)) add(peer, folder, false);
      }
    };
    for (const name of names) add(name, "", false);
    return [...folders].sort();
  }

  /** As Node finds it: in the package's own node_modules, then in those above. */
  #find(name: string, from: string): string | undefined {
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
      const candidate = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
      if (Object.hasOwn(this.#packages, candidate)) return candidate;
      if (folder === "") return undefined;
    }
  }
}

function fits({ os, cpu, libc }: LockedPackage, platform: Platform): boolean {
  return (os?.includes(platform.os) ?? true) && (cpu?.includes(platform.cpu) ?? true) && (libc?.includes("glibc") ?? true);
}
