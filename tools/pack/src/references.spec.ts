import { packageOf, referencesOf } from "./references.js";

describe("references of a built file", () => {
  it("are what it imports, in whichever way, without Node's own", () => {
    const source = 'import "reflect-metadata";\nimport { readFileSync } from "node:fs";\nimport pg from "pg";\nexport { a } from "./a.js";\nconst b = await import("./b.js");\nflags.require("writes");\n';
    expect(referencesOf(source)).toEqual({ own: ["./a.js", "./b.js"], packages: ["reflect-metadata", "pg"] });
  });

  it("are what it finds by address", () => {
    const source = 'const a = new URL("./model-worker.js", import.meta.url); const b = new URL("../models/", import.meta.url); new URL("https://example.com");';
    expect(referencesOf(source)).toEqual({ own: ["./model-worker.js", "../models/"], packages: [] });
  });

  it("are packages whose files it resolves", () => {
    expect(referencesOf("require.resolve(`swagger-ui-dist/${name}`)").packages.map(packageOf)).toEqual(["swagger-ui-dist"]);
  });

  it("are of a package, whichever part of it is named", () => {
    expect(["@grpc/grpc-js/build/src", "@memseal/config", "pg", "pg/lib/client"].map(packageOf)).toEqual(["@grpc/grpc-js", "@memseal/config", "pg", "pg"]);
  });
});
