import { Lock } from "./lock.js";

const LINUX = { os: "linux", cpu: "x64" };
const lockOf = (packages: Record<string, object>) => new Lock(JSON.stringify({ packages: { "": { dependencies: { chosen: "1.0.0" } }, ...packages } }));

describe("production packages of a lock", () => {
  it("are what is asked for and all it depends on, each from the nearest node_modules", () => {
    const lock = lockOf({
      "node_modules/a": { version: "1.0.0", dependencies: { b: "^2.0.0", c: "^1.0.0" } },
      "node_modules/b": { version: "1.0.0" },
      "node_modules/a/node_modules/b": { version: "2.0.0", dependencies: { c: "^1.0.0" } },
      "node_modules/c": { version: "1.0.0", dependencies: { a: "*" } },
      "node_modules/unused": { version: "1.0.0" },
    });
    expect(lock.productionFolders(["a"], LINUX)).toEqual(["node_modules/a", "node_modules/a/node_modules/b", "node_modules/c"]);
    expect(lock.versionOf("node_modules/a/node_modules/b")).toBe("2.0.0");
  });

  it("leave out what is for another platform", () => {
    const lock = lockOf({
      "node_modules/a": { version: "1.0.0", optionalDependencies: { linux: "1.0.0", arm: "1.0.0", musl: "1.0.0", gone: "1.0.0" } },
      "node_modules/linux": { version: "1.0.0", os: ["linux"], cpu: ["x64"], libc: ["glibc"] },
      "node_modules/arm": { version: "1.0.0", os: ["linux"], cpu: ["arm64"] },
      "node_modules/musl": { version: "1.0.0", os: ["linux"], libc: ["musl"] },
    });
    expect(lock.productionFolders(["a"], LINUX)).toEqual(["node_modules/a", "node_modules/linux"]);
    expect(lock.productionFolders(["a"], { os: "linux", cpu: "arm64" })).toEqual(["node_modules/a", "node_modules/arm"]);
  });

  it("hold the peers that are needed, and of the others those that the workspace chose itself", () => {
    const lock = lockOf({
      "node_modules/a": { version: "1.0.0", peerDependencies: { needed: "*", chosen: "*", other: "*" }, peerDependenciesMeta: { chosen: { optional: true }, other: { optional: true } } },
      "node_modules/needed": { version: "1.0.0" },
      "node_modules/chosen": { version: "1.0.0" },
      "node_modules/other": { version: "1.0.0" },
    });
    expect(lock.productionFolders(["a"], LINUX)).toEqual(["node_modules/a", "node_modules/chosen", "node_modules/needed"]);
  });

  it("are refused where one is for development alone, or is not locked", () => {
    const lock = lockOf({ "node_modules/a": { version: "1.0.0", dev: true }, "node_modules/b": { version: "1.0.0", dependencies: { gone: "*" } } });
    expect(() => lock.productionFolders(["a"], LINUX)).toThrow("node_modules/a is installed for development alone");
    expect(() => lock.productionFolders(["b"], LINUX)).toThrow("package-lock.json has no gone for node_modules/b");
    expect(() => lock.productionFolders(["c"], LINUX)).toThrow("package-lock.json has no c for this workspace");
  });
});
