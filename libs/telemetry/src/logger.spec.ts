import { AppError } from "@memseal/errors";
import fc from "fast-check";
import { LOG_EVENTS, type LogEvent } from "./log-events.js";
import { Logger } from "./logger.js";

function lastLine(use: (logger: Logger) => void): Record<string, unknown> {
  const lines: string[] = [];
  use(new Logger("gateway", (line) => lines.push(line)));
  expect(lines.at(-1)).not.toContain("\n");
  return JSON.parse(lines.at(-1) ?? "null") as Record<string, unknown>;
}

describe("Logger", () => {
  it("writes one JSON object a line with service, level and event", () => {
    expect(lastLine((log) => { log.info("ready", { address: "127.0.0.1:1" }); })).toMatchObject({
      level: "info", service: "gateway", event: "ready", address: "127.0.0.1:1",
    });
  });

  it("takes no event and no field but those of its table", () => {
    const log = new Logger("test", () => undefined);
    // @ts-expect-error an event of nobody's
    log.info("she is allergic to walnuts", {});
    // @ts-expect-error a field of no event
    log.info("ready", { text: "she is allergic to walnuts" });
    // @ts-expect-error a field of another event
    log.info("ready", { exitCode: 1 });
    // @ts-expect-error an object where a number belongs
    log.info("stop took too long", { durationMs: { vector: [1, 2] } });
  });

  it("redacts what a cast forced in: a text, a user id, a vector, a key, a row", () => {
    const secret = "she is allergic to walnuts";
    const forced = {
      requestId: `${secret}\n`, method: secret, code: "Ada Lovelace", durationMs: [0.25, -0.5], text: secret, [secret]: 1, row: { secret }, error: undefined, toJSON: () => secret,
    };
    const line = lastLine((log) => { log.info("call", forced as never); });
    expect(line).toMatchObject({ event: "call", requestId: "[redacted]", method: "[redacted]", code: "[redacted]", durationMs: "[redacted]" });
    expect(JSON.stringify(line)).not.toMatch(/walnuts|Ada|0\.25|toJSON/);
    expect(lastLine((log) => { log.info(secret as LogEvent, forced as never); })).toMatchObject({ event: "[redacted]" });
    expect(JSON.stringify(lastLine((log) => { log.warn("__proto__" as LogEvent, forced as never); }))).not.toMatch(/walnuts|Ada/);
  });

  it("says in full why a service cannot start: a line for each fault, and paths in any letters", () => {
    const reason = `configuration is not usable:\n  MEMSEAL_PEPPER_FILE: must be set\n  ${"/srv/Größe/記憶".repeat(50)}: must be an absolute path`;
    expect(lastLine((log) => { log.error("cannot start", { reason }); })).toMatchObject({ reason });
    expect(lastLine((log) => { log.info("ready", { address: "unix:/srv/Größe/run/indexer.sock" }); })).toMatchObject({ address: "unix:/srv/Größe/run/indexer.sock" });
  });

  it("prints no reason and no address that would move a terminal's cursor", () => {
    for (const odd of ["\u001b[2J", "a\rb", "\u202e", "\ud800"]) expect(lastLine((log) => { log.error("cannot start", { reason: odd }); })).toMatchObject({ reason: "[redacted]" });
    expect(lastLine((log) => { log.info("ready", { address: "a\nb" }); })).toMatchObject({ address: "[redacted]" });
  });

  it("prints nothing that has not the form of its field, whatever is forced in", () => {
    const events = Object.keys(LOG_EVENTS) as LogEvent[];
    fc.assert(fc.property(fc.constantFrom(...events), fc.dictionary(fc.constantFrom("requestId", "method", "code", "child", "model", "durationMs", "count", "exitCode", "other"), fc.anything({ withBigInt: false })), (event, fields) => {
      const { time, level, service, event: printed, ...rest } = lastLine((log) => { log.info(event, fields); });
      expect([typeof time, level, service, printed]).toEqual(["string", "info", "gateway", event]);
      for (const value of Object.values(rest)) expect(value === null || typeof value === "number" || (typeof value === "string" && /^([\w.:/@-]{1,128}|\[redacted\])$/.test(value))).toBe(true);
    }));
  });

  it("keeps a driver's message, which may quote a row, out of the log", () => {
    const driver = Object.assign(new Error("Key (text)=(my secret) already exists"), { code: "23505", detail: "my secret" });
    const line = lastLine((log) => { log.error("request failed", { error: new AppError("internal", "internal error", { cause: driver }) }); });
    expect(JSON.stringify(line)).not.toContain("my secret");
    expect(line).toMatchObject({ error: { message: "internal error", cause: { code: "23505" } } });
  });
});
