import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCredentials, VARIABLES } from "./credentials.js";

describe("the credentials of a release", () => {
  let dir: string;
  let env: NodeJS.ProcessEnv;

  const file = (name: string, content: string) => {
    const path = join(dir, name);
    writeFileSync(path, content);
    return path;
  };
  const pem = (type: "ed25519" | "x25519") => (type === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("x25519")).privateKey.export({ type: "pkcs8", format: "pem" }) as string;

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "memseal-credentials-"));
    env = {
      MEMSEAL_CANARY_URL: "http://127.0.0.1:8080",
      MEMSEAL_PROXY_SOCKET: "/run/haproxy.sock",
      MEMSEAL_PROXY_TRACK_SECRET: "s3cret-of-the-load",
      MEMSEAL_PROMETHEUS_URL: "http://127.0.0.1:9090",
      MEMSEAL_CANARY_KEYS_FILE: file("keys", "a\nb\nc\nd\ne\n"),
      MEMSEAL_CANARY_SIGNING_KEY_FILE: file("key.pem", pem("ed25519")),
      MEMSEAL_CANARY_WEBHOOK_TOKEN_FILE: file("token", "0123456789abcdef\n"),
    };
  });
  afterAll(() => { rmSync(dir, { recursive: true }); });

  const missing = (change: NodeJS.ProcessEnv) => {
    const found = findCredentials({ ...env, ...change });
    return "missing" in found ? found.missing : [];
  };

  it("are found where every variable is usable", () => {
    expect(findCredentials(env)).toMatchObject({ credentials: { apiKeys: ["a", "b", "c", "d", "e"], webhookToken: "0123456789abcdef", webhookAddress: { host: "127.0.0.1", port: 9095 } } });
  });

  it("are all named where none is there", () => {
    const found = findCredentials({});
    expect("missing" in found && found.missing.map((line) => line.split(" ")[0])).toEqual(Object.keys(VARIABLES));
  });

  it.each([
    ["MEMSEAL_CANARY_URL", "ftp://s3cret"],
    ["MEMSEAL_CANARY_URL", "http://name:s3cret@127.0.0.1"],
    ["MEMSEAL_PROMETHEUS_URL", "s3cret"],
    ["MEMSEAL_CANARY_KEYS_FILE", "/s3cret/not/there"],
    ["MEMSEAL_CANARY_SIGNING_KEY_FILE", "/s3cret/not/there"],
    ["MEMSEAL_CANARY_WEBHOOK_ADDRESS", "s3cret"],
  ])("%s=%s is not usable, and the line tells no value", (name, value) => {
    expect(missing({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name} is not usable: (?!.*s3cret)`))]);
  });

  it("are no four users, no key of another kind, and no short token", () => {
    expect(missing({ MEMSEAL_CANARY_KEYS_FILE: file("four", "a\nb\nc\nd\nd\n") })).toHaveLength(1);
    expect(missing({ MEMSEAL_CANARY_SIGNING_KEY_FILE: file("other.pem", pem("x25519")) })).toHaveLength(1);
    expect(missing({ MEMSEAL_CANARY_WEBHOOK_TOKEN_FILE: file("short", "abc") })).toHaveLength(1);
  });
});
