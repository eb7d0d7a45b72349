import { readFileSync } from "node:fs";
import { parseConfig } from "@memseal/config";
import { parse } from "yaml";
import { gatewayConfig } from "./config.js";

const REQUIRED = {
  MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:7482",
  MEMSEAL_RERANKER_ADDRESS: "unix:/run/memseal/reranker.sock",
  MEMSEAL_TENANT_SECRET_FILE: "/s/tenant.secret",
  MEMSEAL_PEPPER_FILE: "/s/api-key.pepper",
  MEMSEAL_ASSERTION_KEY_FILE: "/s/assertion.pem",
};

describe("the gateway's variables", () => {
  it("have defaults for all but addresses of services and key files", () => {
    expect(parseConfig(gatewayConfig, REQUIRED)).toMatchObject({
      MEMSEAL_HTTP_ADDRESS: { address: "127.0.0.1:7480", host: "127.0.0.1", port: 7480 },
      MEMSEAL_GRPC_ADDRESS: "127.0.0.1:7481",
      MEMSEAL_RERANK_TIMEOUT_MS: 250,
      MEMSEAL_RERANK_DEPTH: 24,
      MEMSEAL_RERANK_MIN_DEPTH: 12,
      MEMSEAL_RECEIPT_PUBLIC_KEY_FILES: [],
      MEMSEAL_RERANK_WEIGHT: 0.5,
      MEMSEAL_TRACK: "stable",
    });
    expect(() => parseConfig(gatewayConfig, {})).toThrow(/MEMSEAL_INDEXER_ADDRESS: must be set\n.*MEMSEAL_RERANKER_ADDRESS: must be set/);
  });

  it.each([
    ["[::1]:80", { host: "::1", port: 80 }],
    ["0.0.0.0:7480", { host: "0.0.0.0", port: 7480 }],
    ["localhost:0", { host: "localhost", port: 0 }],
  ])("read %s as an HTTP address", (address, parts) => {
    expect(parseConfig(gatewayConfig, { ...REQUIRED, MEMSEAL_HTTP_ADDRESS: address }).MEMSEAL_HTTP_ADDRESS).toEqual({ address, ...parts });
  });

  it("name the origins whose pages may call: none unless set", () => {
    const originsOf = (text: string) => parseConfig(gatewayConfig, { ...REQUIRED, MEMSEAL_CORS_ORIGINS: text }).MEMSEAL_CORS_ORIGINS;
    expect(originsOf("")).toBeUndefined();
    expect(originsOf("https://app.example, http://localhost:3000")).toEqual(["https://app.example", "http://localhost:3000"]);
    for (const wrong of ["*", "https://*.example", "null", "app.example", "https://app.example/", "https://app.example:443", "HTTPS://app.example", "https://a,", "file://", "https://u@a"]) {
      expect(() => originsOf(wrong)).toThrow(/MEMSEAL_CORS_ORIGINS: must be origins/);
    }
  });

  it.each(["7480", ":7480", "host", "http://host:80", "host:port", "unix:/a"])("refuse %s as an HTTP address", (address) => {
    expect(() => parseConfig(gatewayConfig, { ...REQUIRED, MEMSEAL_HTTP_ADDRESS: address })).toThrow(/MEMSEAL_HTTP_ADDRESS/);
  });

  it("read rates by name, keep the default of what is left out, and refuse what is none", () => {
    const read = (text: string) => parseConfig(gatewayConfig, { ...REQUIRED, MEMSEAL_RATES_CREDENTIAL: text }).MEMSEAL_RATES_CREDENTIAL;
    expect(read("")).toEqual({ read: 500, write: 250, rerank: 100 });
    expect(read("write=0.5,read=20")).toEqual({ read: 20, write: 0.5, rerank: 100 });
    for (const text of ["read", "read=0", "read=-1", "reads=1", "read=1,read=2", "read=1;write=2", "constructor=1"]) expect(() => read(text)).toThrow(/MEMSEAL_RATES_CREDENTIAL/);
  });
});

describe("compose.yaml", () => {
  it("gives the gateway variables that it has, and all that it needs", () => {
    const { services } = parse(readFileSync(new URL("../../../compose.yaml", import.meta.url), "utf8")) as { services: Record<string, { environment: Record<string, string> }> };
    const { environment } = services["gateway"];
    expect(Object.keys(gatewayConfig.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
    expect(() => parseConfig(gatewayConfig, environment)).not.toThrow();
  });
});
