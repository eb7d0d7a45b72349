import { readFileSync } from "node:fs";
import { parseConfig } from "@memseal/config";
import { StartupError } from "@memseal/errors";
import { parse } from "yaml";
import { parseServices, rerankerConfig } from "./config.js";

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
