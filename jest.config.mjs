import { fileURLToPath } from "node:url";

// One configuration for every project; the kind of test is in the file's suffix.
const SUFFIX = { unit: "spec", integration: "integration-spec", e2e: "e2e-spec" };

/** Jest settings for one kind of test in one project (a path from the workspace root). */
export function jestConfig(kind, rootDir) {
  return {
    rootDir,
    // Outlives the run, and its temporary folder.
    cacheDirectory: fileURLToPath(new URL("./node_modules/.cache/jest", import.meta.url)),
    setupFiles: [fileURLToPath(new URL("./jest.setup.mjs", import.meta.url))],
    testEnvironment: fileURLToPath(new URL("./jest.environment.mjs", import.meta.url)),
    testRegex: [`\\.${SUFFIX[kind]}\\.ts$`],
    testPathIgnorePatterns: ["/node_modules/", "/dist/"],
    modulePathIgnorePatterns: ["/dist/"],
    extensionsToTreatAsEsm: [".ts"],
    moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
    testEnvironmentOptions: { customExportConditions: ["@memseal/source", "node", "node-addons"] },
    transform: {
      "^.+\\.ts$": [
        "@swc/jest",
        {
          swcrc: false,
          jsc: {
            target: "es2022",
            parser: { syntax: "typescript", decorators: true },
            transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
          },
          module: { type: "es6" },
        },
      ],
    },
    testTimeout: kind === "unit" ? 20_000 : 120_000,
    // A failed set-up can leave a server open; the run must end all the same.
    forceExit: true,
    maxWorkers: kind === "unit" ? 2 : 1,
  };
}
