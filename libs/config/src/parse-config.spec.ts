import { z } from "zod";
import { listenAddresses, parseConfig, port } from "./parse-config.js";

const schema = z.object({ HTTP_PORT: port, ROOT_KEY_FILE: z.string().startsWith("/") });

describe("parseConfig", () => {
  it("gives frozen, typed values", () => {
    const config = parseConfig(schema, { HTTP_PORT: "8080", ROOT_KEY_FILE: "/key", OTHER: "x" });
    expect(config).toEqual({ HTTP_PORT: 8080, ROOT_KEY_FILE: "/key" });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("names every fault at once and no value", () => {
    expect(() => parseConfig(schema, { HTTP_PORT: "70000" })).toThrow(/HTTP_PORT: .*[\s\S]*ROOT_KEY_FILE: must be set/);
    expect(() => parseConfig(schema, { HTTP_PORT: "1", ROOT_KEY_FILE: "s3cret" })).toThrow(/^(?![\s\S]*s3cret)/);
  });

  it("takes an empty variable for an unset one", () => {
    expect(() => parseConfig(schema, { HTTP_PORT: "1", ROOT_KEY_FILE: "" })).toThrow("ROOT_KEY_FILE: must be set");
  });
});

describe("addresses", () => {
  it.each([
    ["10.0.0.2:7482", ["10.0.0.2:7482"]],
    ["10.0.0.2:7482,[::1]:7483,indexer:7482", ["10.0.0.2:7482", "[::1]:7483", "indexer:7482"]],
    ["unix:/a/b.sock,unix:/c", ["unix:/a/b.sock", "unix:/c"]],
    ["unix:/home/ada,bob/run/indexer.sock", ["unix:/home/ada,bob/run/indexer.sock"]],
  ])("%s is a list", (text, list) => {
    expect(listenAddresses.parse(text)).toEqual(list);
  });

  it.each(["", "a", "a:1,", "a:1,b", "a:1,,b:2", "http://a:1"])("%p is none", (text) => {
    expect(listenAddresses.safeParse(text).success).toBe(false);
  });
});
