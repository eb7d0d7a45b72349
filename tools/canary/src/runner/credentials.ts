import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseHostAndPort } from "@memseal/config";

/** What a release is carried out with. */
export interface Credentials {
  /** HTTP address of the load balancer, as callers have it. */
  readonly url: string;
  readonly proxySocket: string;
  readonly trackSecret: string;
  readonly prometheusUrl: string;
  /** API keys of the release's own load, one user each. */
  readonly apiKeys: readonly string[];
  /** Ed25519; no service can read it. */
  readonly signingKey: KeyObject;
  readonly webhookToken: string;
  readonly webhookAddress: { readonly host: string; readonly port: number };
}

const USERS = 5;

/** What each variable is for, and what it must hold. */
export const VARIABLES = {
  MEMSEAL_CANARY_URL: "HTTP address of the load balancer, such as http://127.0.0.1:8080",
  MEMSEAL_PROXY_SOCKET: "path of HAProxy's runtime socket, level admin",
  MEMSEAL_PROXY_TRACK_SECRET: "the secret with which load may name its track (deploy/haproxy)",
  MEMSEAL_PROMETHEUS_URL: "address of Prometheus, such as http://127.0.0.1:9090",
  MEMSEAL_CANARY_KEYS_FILE: `file of API keys for the release's own load, one a line, each of a user of its own, ${USERS} at least`,
  MEMSEAL_CANARY_SIGNING_KEY_FILE: "file of the Ed25519 private key (PEM) that signs the evidence; no service may read it",
  MEMSEAL_CANARY_WEBHOOK_TOKEN_FILE: "file of the token that Alertmanager sends (deploy/alertmanager)",
} as const;
export type Variable = keyof typeof VARIABLES;

/** Where the runner listens for Alertmanager, unless MEMSEAL_CANARY_WEBHOOK_ADDRESS says otherwise. */
const WEBHOOK_ADDRESS = "127.0.0.1:9095";

export type Found = { readonly credentials: Credentials } | { readonly missing: readonly string[] };

/** Everything that is needed, or a line for each thing that is not there or not usable; no line tells a value. */
export function findCredentials(env: NodeJS.ProcessEnv): Found {
  const missing: string[] = [];
  const read = <T>(name: Variable, parse: (value: string) => T): T | undefined => {
    const value = env[name] ?? "";
    if (value === "") missing.push(`${name} is not set: ${VARIABLES[name]}`);
    else {
      try {
        return parse(value);
      } catch {
        missing.push(`${name} is not usable: ${VARIABLES[name]}`);
      }
    }
    return undefined;
  };
  const url = read("MEMSEAL_CANARY_URL", httpUrl);
  const proxySocket = read("MEMSEAL_PROXY_SOCKET", String);
  const trackSecret = read("MEMSEAL_PROXY_TRACK_SECRET", String);
  const prometheusUrl = read("MEMSEAL_PROMETHEUS_URL", httpUrl);
  const apiKeys = read("MEMSEAL_CANARY_KEYS_FILE", apiKeysIn);
  const signingKey = read("MEMSEAL_CANARY_SIGNING_KEY_FILE", signingKeyIn);
  const webhookToken = read("MEMSEAL_CANARY_WEBHOOK_TOKEN_FILE", tokenIn);
  const webhookAddress = parseHostAndPort(env["MEMSEAL_CANARY_WEBHOOK_ADDRESS"] ?? WEBHOOK_ADDRESS);
  if (webhookAddress === undefined) missing.push("MEMSEAL_CANARY_WEBHOOK_ADDRESS is not usable: host:port on which the runner listens for Alertmanager");
  if (
    url === undefined || proxySocket === undefined || trackSecret === undefined || prometheusUrl === undefined ||
    apiKeys === undefined || signingKey === undefined || webhookToken === undefined || webhookAddress === undefined
  ) return { missing };
  return { credentials: { url, proxySocket, trackSecret, prometheusUrl, apiKeys, signingKey, webhookToken, webhookAddress } };
}

/** Without a name and a password: it is kept with the evidence. */
function httpUrl(text: string): string {
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") throw new Error("no plain HTTP address");
  return url.href;
}

function apiKeysIn(file: string): string[] {
  const keys = readFileSync(file, "utf8").split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (new Set(keys).size < USERS) throw new Error("too few keys");
  return keys;
}

function signingKeyIn(file: string): KeyObject {
  const key = createPrivateKey(readFileSync(file));
  if (key.asymmetricKeyType !== "ed25519") throw new Error("no Ed25519 key");
  return key;
}

function tokenIn(file: string): string {
  const token = readFileSync(file, "utf8").trim();
  if (token.length < 16) throw new Error("too short a token");
  return token;
}
