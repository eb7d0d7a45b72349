import type { RootProvider } from "./root-provider.js";

/** The versions of the root key that a process holds: the newest wraps, every one opens what it wrapped. */
export interface RootKeys {
  /** The version that wraps now. */
  current(): RootProvider;
  /** The version that wrapped under this kind and id; undefined where it is not held. */
  find(provider: string, id: string): RootProvider | undefined;
  /** The number of the version with this id, from 1; undefined where it is not held. */
  versionOf(id: string): number | undefined;
}

/** Of a provider that has one version. */
export function soleRootKey(root: RootProvider): RootKeys {
  return {
    current: () => root,
    find: (provider, id) => (provider === root.provider && id === root.id ? root : undefined),
    versionOf: (id) => (id === root.id ? 1 : undefined),
  };
}
