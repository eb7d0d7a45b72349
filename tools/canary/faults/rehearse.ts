import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** How often it is looked whether the file that begins a fault is there. */
const LOOK_INTERVAL_MS = 100;

/** The app that this process was told to run, before it runs. */
export class App {
  readonly #url: URL;

  /** main: path of its compiled entry point. @throws Error where there is none */
  constructor(private readonly main: string) {
    this.#url = pathToFileURL(realpathSync(main));
  }

  /** A module of it, by its path from the entry point: the very one that it will run with. */
  async module<Exports>(path: string): Promise<Exports> {
    return (await import(new URL(path, this.#url).href)) as Exports;
  }

  /** A package that it depends on, directly or through those before: the very one that it will run with. */
  async package<Exports>(...names: readonly [string, ...string[]]): Promise<Exports> {
    const path = names.reduce((from, name) => createRequire(from).resolve(name), realpathSync(this.main));
    return (await import(pathToFileURL(path).href)) as Exports;
  }

  /** Runs it as if it had been started itself. */
  async run(): Promise<void> {
    process.argv.splice(1, 1);
    await import(this.#url.href);
  }
}

/**
 * Runs the app named on the command line with a fault in it. Until the file named by MEMSEAL_FAULT_FILE is there,
 * `hasBegun` says false; without the variable the fault has begun when the app starts.
 */
export async function rehearse(plant: (app: App, hasBegun: () => boolean) => Promise<void>): Promise<void> {
  const [, script, main] = process.argv;
  if (main === undefined) {
    process.stderr.write(`usage: node ${script} <dist/main.js of the app>\n`);
    process.exit(2);
  }
  const app = new App(main);
  await plant(app, watchFor(process.env["MEMSEAL_FAULT_FILE"]));
  await app.run();
}

function watchFor(path: string | undefined): () => boolean {
  let isThere = path === undefined;
  if (path !== undefined) {
    const timer = setInterval(() => {
      isThere = existsSync(path);
      if (isThere) clearInterval(timer);
    }, LOOK_INTERVAL_MS).unref();
  }
  return () => isThere;
}

/** Puts another method in the place of one of a class. @throws Error where the class has no such method: the fault would change nothing */
export function wrap<Name extends string, Method extends (...args: never[]) => unknown>(
  { prototype }: { readonly prototype: Record<Name, Method> },
  name: Name,
  around: (method: Method) => Method,
): void {
  if (typeof prototype[name] !== "function") throw new Error(`there is no method ${name} to put a fault into`);
  prototype[name] = around(prototype[name]);
}
