import type { Authenticity, ListedApiKey } from "@memseal/storage";
import { Logger } from "@memseal/telemetry";
import { warnOfRefused } from "./local-files.js";

const key = (authenticity: Authenticity): ListedApiKey => ({
  keyId: "abcdefghijkl", authenticity, isBound: true, namespace: "default", scopes: ["read"], createdAt: new Date(), expiresAt: null, revokedAt: null,
});

describe("a start says of API keys", () => {
  it.each<[Authenticity[], [number, string][]]>([
    [[], []],
    [["authentic"], []],
    [["authentic", "unauthenticated", "altered", "unauthenticated"], [[2, "memseal keys vouch"], [1, "are not as they were written"]]],
  ])("%j how many would be refused, and what to do", (authenticities, said) => {
    const lines: string[] = [];
    warnOfRefused(authenticities.map(key), new Logger("test", (line) => { lines.push(line); }));
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(said.map(([count, reason]) => expect.objectContaining({ event: "api keys would be refused", level: "warn", count, reason: expect.stringContaining(reason) as string }) as object));
  });
});
