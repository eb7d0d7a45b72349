// Runs one project's tests of one kind and leaves their counts in .test-results, or in the folder that MEMSEAL_TEST_RESULTS names.
// usage: node jest.run.mjs unit|integration|e2e <project folder> [more jest arguments]
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { jestConfig } from "./jest.config.mjs";
import { withScratch } from "./jest.scratch.mjs";

const [kind, project, ...rest] = process.argv.slice(2);
const root = import.meta.dirname;
const results = `${process.env.MEMSEAL_TEST_RESULTS ?? `${root}/.test-results`}/${project}`;
mkdirSync(results, { recursive: true });

const jest = createRequire(import.meta.url).resolve("jest/bin/jest");
const { status } = await withScratch((env) => spawnSync(
  process.execPath,
  [
    "--experimental-vm-modules",
    "--disable-warning=ExperimentalWarning",
    jest,
    `--config=${JSON.stringify(jestConfig(kind, `${root}/${project}`))}`,
    "--json",
    `--outputFile=${results}/${kind}.json`,
    ...rest,
  ],
  // --json also prints the report on stdout; what a person reads is on stderr.
  { cwd: root, env, stdio: ["ignore", "ignore", "inherit"] },
));
process.exit(status ?? 1);
