import { readFileSync } from "node:fs";
import { parseConfig } from "@memseal/config";
import { parse } from "yaml";
import { indexerConfig } from "./config.js";

describe("compose.yaml", () => {
  it("gives the indexer variables that it has, and all that it needs", () => {
    const { services } = parse(readFileSync(new URL("../../../compose.yaml", import.meta.url), "utf8")) as { services: Record<string, { environment: Record<string, string> }> };
    const { environment } = services["indexer"];
    expect(Object.keys(indexerConfig.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
    expect(() => parseConfig(indexerConfig, environment)).not.toThrow();
  });
});
