import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parseConfig } from "@memseal/config";
import { StartupError } from "@memseal/errors";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { parseEndpoint, parseServices, rerankerConfig } from "./config.js";

describe("config", () => {
  it("needs nothing to be set", () => {
    expect(parseConfig(rerankerConfig, {})).toMatchObject({ MEMSEAL_RERANKER_ADDRESS: "127.0.0.1:7483", MEMSEAL_DEVICE: "auto" });
  });

  it.each([
    ["MEMSEAL_DEVICE", "gpu"],
    ["MEMSEAL_RERANK_WORKERS", "0"],
    ["MEMSEAL_MODELS_DIR", "models"],
  ])("refuses %s=%s", (name, value) => {
    expect(() => parseConfig(rerankerConfig, { [name]: value })).toThrow(name);
  });

  describe("an embedding endpoint", () => {
    const dir = mkdtempSync(join(tmpdir(), "memseal-key-"));
    const keyFile = join(dir, "key");
    const endpointOf = (env: Record<string, string>) => parseEndpoint(parseConfig(rerankerConfig, env));
    const whole = { MEMSEAL_EMBED_URL: "https://api.example/v1", MEMSEAL_EMBED_MODEL: "text-embedding-3-small", MEMSEAL_EMBED_DIMENSION: "1536" };
    afterAll(() => { rmSync(dir, { recursive: true }); });

    it("is off unless its URL is set, and then whole", () => {
      expect(endpointOf({})).toBeUndefined();
      expect(endpointOf({ MEMSEAL_EMBED_MODEL: "bge" })).toBeUndefined();
      writeFileSync(keyFile, "sk-secret\n", { mode: 0o600 });
      expect(endpointOf({ ...whole, MEMSEAL_EMBED_KEY_FILE: keyFile })).toMatchObject({ model: "text-embedding-3-small", dimension: 1536, apiKey: "sk-secret", timeoutMs: 5_000 });
    });

    it.each([
      ["a missing model", { ...whole, MEMSEAL_EMBED_MODEL: "" }, "MEMSEAL_EMBED_MODEL"],
      ["a missing dimension", { ...whole, MEMSEAL_EMBED_DIMENSION: "" }, "MEMSEAL_EMBED_DIMENSION"],
      ["plaintext beyond this machine", { ...whole, MEMSEAL_EMBED_URL: "http://10.0.0.8/v1" }, "must begin with https"],
      ["a host that only looks like this machine", { ...whole, MEMSEAL_EMBED_URL: "http://127.0.0.1.example.com/v1" }, "must begin with https"],
      ["a key in the URL", { ...whole, MEMSEAL_EMBED_URL: "https://u:sk-secret@api.example/v1" }, "MEMSEAL_EMBED_KEY_FILE"],
      ["another protocol", { ...whole, MEMSEAL_EMBED_URL: "file:///etc" }, "MEMSEAL_EMBED_URL"],
      ["a dimension without it", { MEMSEAL_EMBED_DIMENSION: "3" }, "MEMSEAL_EMBED_URL, which is not set"],
      ["a key file that is not there", { ...whole, MEMSEAL_EMBED_KEY_FILE: "/nowhere/key" }, "/nowhere/key cannot be read"],
    ])("is refused for %s", (_name, env, problem) => {
      expect(() => endpointOf(env)).toThrow(problem);
      expect(() => endpointOf(env)).not.toThrow("sk-secret");
    });

    it("may be on this machine in plaintext, and its key file is for its owner alone", () => {
      for (const host of ["127.0.0.1:8080", "localhost", "[::1]:80"]) expect(endpointOf({ ...whole, MEMSEAL_EMBED_URL: `http://${host}/v1` })).toBeDefined();
      writeFileSync(keyFile, "sk-secret");
      chmodSync(keyFile, 0o644);
      expect(() => endpointOf({ ...whole, MEMSEAL_EMBED_KEY_FILE: keyFile })).toThrow("chmod 600");
      chmodSync(keyFile, 0o600);
      writeFileSync(keyFile, "two\nlines");
      expect(() => endpointOf({ ...whole, MEMSEAL_EMBED_KEY_FILE: keyFile })).toThrow("one key on one line");
    });
  });

  it("serves both services, or the ones named", () => {
    expect([...parseServices([])]).toEqual(["embed", "rerank"]);
    expect([...parseServices(["--serve", "rerank"])]).toEqual(["rerank"]);
    expect([...parseServices(["--serve=embed,rerank"])]).toEqual(["embed", "rerank"]);
  });

  it.each([[["--serve", "embde"]], [["--serve", ""]], [["--server"]], [["embed"]]])("refuses the arguments %j", (args) => {
    expect(() => parseServices(args)).toThrow(StartupError);
  });
});

describe("compose.yaml", () => {
  it("gives the reranker variables that it has, and all that it needs", () => {
    const { services } = parse(readFileSync(new URL("../../../compose.yaml", import.meta.url), "utf8")) as { services: Record<string, { environment: Record<string, string> }> };
    const { environment } = services["reranker"];
    expect(Object.keys(rerankerConfig.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
    expect(() => parseConfig(rerankerConfig, environment)).not.toThrow();
  });
});
