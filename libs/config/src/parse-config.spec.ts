import { z } from "zod";
import { parseConfig, port } from "./parse-config.js";

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
