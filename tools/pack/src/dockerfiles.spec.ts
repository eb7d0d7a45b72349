import { readFileSync } from "node:fs";
import { readDockerfiles, type Dockerfile, type Stage } from "./dockerfile.fixture.js";
import { APPS } from "./pack.js";

const DOCKERFILES = readDockerfiles().map((file): [string, Dockerfile] => [file.name, file]);
const lastOf = ({ stages }: Dockerfile): Stage => stages.at(-1)!;
const allOf = ({ stages }: Dockerfile, word: string) => stages.flatMap(({ instructions }) => instructions).filter((one) => one.word === word);

it("each app has an image, and the reranker one for CUDA beside it", () => {
  expect(DOCKERFILES.map(([name]) => name).sort()).toEqual([...Object.keys(APPS).map((app) => `${app}.Dockerfile`), "reranker-cuda.Dockerfile"].sort());
});

describe.each(DOCKERFILES)("%s", (_, dockerfile) => {
  const last = lastOf(dockerfile);
  const argumentsOf = (word: string) => last.instructions.filter((one) => one.word === word).map(({ rest }) => rest);

  it("has a stage that holds what is packed against its manifest before anything else is done with it", () => {
    const [packed] = dockerfile.stages;
    expect(dockerfile.stages).toHaveLength(2);
    expect(packed.name).toBe("packed");
    const [firstRun] = packed.instructions.filter(({ word }) => word === "RUN");
    expect(firstRun.rest).toBe('["node", "verify.mjs"]');
    expect(packed.instructions.indexOf(firstRun)).toBeGreaterThan(packed.instructions.findLastIndex(({ word }) => word === "COPY"));
  });

  it("takes into the image nothing but that stage, and node where the base has none", () => {
    const copies = last.instructions.filter(({ word }) => word === "COPY");
    expect(copies.every(({ flags }) => flags.join(" ") === "--from=packed")).toBe(true);
    const node = last.base.startsWith("nvidia/") ? ["/usr/local/bin/node /usr/local/bin/node"] : [];
    expect(copies.map(({ rest }) => rest)).toEqual([...node, "/memseal/ ./"]);
    expect(allOf(dockerfile, "ADD")).toEqual([]);
  });

  it("names each base by an exact tag, which for distroless is the one of its Node and of nonroot", () => {
    for (const { base } of dockerfile.stages) expect(base).toMatch(/^(node:\d+\.\d+\.\d+-bookworm-slim|nvidia\/cuda:\d+\.\d+\.\d+-cudnn-runtime-ubuntu22\.04|gcr\.io\/distroless\/nodejs20-debian12:nonroot)$/);
  });

  it("has one major version of Node, which the workspace takes", () => {
    const { engines } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { engines: { node: string } };
    const [, major, minor] = /^node:(\d+)\.(\d+)\./.exec(dockerfile.stages[0].base)!.map(Number);
    const [, neededMajor, neededMinor] = /^>=(\d+)\.(\d+)$/.exec(engines.node)!.map(Number);
    expect(major > neededMajor || (major === neededMajor && minor >= neededMinor)).toBe(true);
    if (last.base.startsWith("gcr.io/distroless/")) expect(last.base).toContain(`/nodejs${major}-`);
  });

  it("runs as one user that is not root, by number, as Kubernetes' runAsNonRoot needs", () => {
    expect(argumentsOf("USER")).toEqual(["65532:65532"]);
    const at = last.instructions.findIndex(({ word }) => word === "USER");
    // Nothing after it writes into the image.
    expect(last.instructions.slice(at).every(({ word }) => !["RUN", "COPY", "ADD"].includes(word))).toBe(true);
  });

  it("starts its process without a shell, which then gets the signals", () => {
    const [entrypoint, ...others] = argumentsOf("ENTRYPOINT");
    expect(others).toEqual([]);
    const words = JSON.parse(entrypoint) as string[];
    expect(words).toEqual([expect.stringMatching(/\/node$/), "dist/main.js"]);
    for (const { rest } of [...allOf(dockerfile, "CMD"), ...allOf(dockerfile, "RUN")]) expect(JSON.parse(rest)).toEqual(expect.any(Array));
  });

  it("says that it has no health check of its own", () => {
    expect(argumentsOf("HEALTHCHECK")).toEqual(["NONE"]);
  });

  it("says that it was never built", () => {
    expect(dockerfile.text).toContain("NEVER BUILT");
  });
});

describe("the CUDA image", () => {
  const cuda = DOCKERFILES.find(([name]) => name === "reranker-cuda.Dockerfile")![1];

  it("installs onnxruntime's providers and is not built without them, for the CUDA of its base", () => {
    const runs = allOf(cuda, "RUN").map(({ rest }) => JSON.parse(rest) as string[]);
    const [, major] = /:(\d+)\./.exec(lastOf(cuda).base) ?? [];
    expect(runs[1]).toEqual(["node", "node_modules/onnxruntime-node/script/install.js", `--onnxruntime-node-install=cuda${major}`]);
    expect(lastOf(cuda).instructions.filter(({ word }) => word === "RUN").map(({ rest }) => JSON.parse(rest) as string[])).toEqual([["node", "dist/check-cuda.js", major, "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu"]]);
  });

  it("does not fall back to a CPU", () => {
    expect(lastOf(cuda).instructions.filter(({ word }) => word === "ENV").map(({ rest }) => rest)).toEqual(["NODE_ENV=production MEMSEAL_DEVICE=cuda"]);
  });
});
