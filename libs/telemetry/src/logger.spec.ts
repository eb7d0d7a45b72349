import { AppError } from "@memseal/errors";
import { Logger } from "./logger.js";

function lastLine(use: (logger: Logger) => void): Record<string, unknown> {
  const lines: string[] = [];
  use(new Logger("gateway", (line) => lines.push(line)));
  return JSON.parse(lines.at(-1) ?? "null") as Record<string, unknown>;
}

describe("Logger", () => {
  it("writes one JSON object a line with service, level and event", () => {
    expect(lastLine((log) => { log.info("ready", { address: "127.0.0.1:1" }); })).toMatchObject({
      level: "info", service: "gateway", event: "ready", address: "127.0.0.1:1",
    });
  });

  it("keeps a driver's message, which may quote a row, out of the log", () => {
    const driver = Object.assign(new Error("Key (text)=(my secret) already exists"), { code: "23505" });
    const line = lastLine((log) => { log.error("failed", { error: new AppError("internal", "internal error", { cause: driver }) }); });
    expect(JSON.stringify(line)).not.toContain("my secret");
    expect(line).toMatchObject({ error: { message: "internal error", cause: { code: "23505" } } });
  });
});
