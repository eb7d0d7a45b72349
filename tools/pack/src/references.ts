import { isBuiltin } from "node:module";
import ts from "typescript";

/** What one built file needs at run time. */
export interface References {
  /** Files and folders of its own package, as written: `./config.js`, `../models/`. */
  readonly own: readonly string[];
  /** As written: `pg`, `@memseal/config`, `@memseal/contracts/indexer`. No module of Node's own. */
  readonly packages: readonly string[];
}

/** A file beside the code that is found by address: a worker's script, models, the package's own package.json. */
const BY_ADDRESS = /\bnew URL\("(\.{1,2}\/[^"]*)", import\.meta\.url\)/g;
/** A file of a package, whose rest may be told apart at run time: `require.resolve(`swagger-ui-dist/${name}`)`. */
const RESOLVED = /\brequire\.resolve\(["'`]([^"'`$]+)/g;

/** What JavaScript of tsc names; what is put together at run time alone cannot be seen. */
export function referencesOf(source: string): References {
  const imported = ts.preProcessFile(source, true, false).importedFiles.map(({ fileName }) => fileName);
  const addressed = [...source.matchAll(BY_ADDRESS)].map(([, path]) => path);
  const resolved = [...source.matchAll(RESOLVED)].map(([, path]) => path);
  const all = [...imported, ...addressed, ...resolved];
  return {
    own: all.filter((name) => name.startsWith(".")),
    packages: all.filter((name) => !name.startsWith(".") && !isBuiltin(name)),
  };
}

/** `@grpc/grpc-js` of `@grpc/grpc-js/build/src`. */
export function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}
