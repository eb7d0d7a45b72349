import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Logger } from "@memseal/telemetry";
import { ServiceProcess } from "./service-process.js";

describe("a service as a child process", () => {
  let dir: string;
  beforeEach(() => { dir = mkdtempSync(join(tmpdir(), "memseal-service-")); });
  afterEach(() => { rmSync(dir, { recursive: true }); });

  /** A child that writes its pid to `starts`, then runs `code`. */
  function child(code: string): ServiceProcess {
    const script = join(dir, "main.mjs");
    writeFileSync(script, `import { appendFileSync } from "node:fs";\nappendFileSync(${JSON.stringify(join(dir, "starts"))}, process.pid + "\\n");\nconst log = (event, reason) => console.error(JSON.stringify({ event, reason }));\n${code}`);
    return new ServiceProcess({ name: "test", script, env: {} }, new Logger("test", () => undefined));
  }
  const pids = () => {
    try {
      return readFileSync(join(dir, "starts"), "utf8").trim().split("\n").map(Number);
    } catch {
      return [];
    }
  };
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  const STAYS = "setInterval(() => undefined, 1000);";

  it("whose first start fails says why and is not started again", async () => {
    await expect(child(`log("cannot start", "the model is gone"); process.exitCode = 1;`).start()).rejects.toThrow("the test did not start: the model is gone");
    await delay(1_500);
    expect(pids()).toHaveLength(1);
  });

  it("is started again when it ends after it was ready", async () => {
    const service = child(`log("ready"); ${STAYS}`);
    await service.start();
    process.kill(pids()[0], "SIGKILL");
    while (pids().length < 2) await delay(50);
    await service.stop();
    expect(pids().filter(isAlive)).toEqual([]);
  });

  it("can be stopped before it is ready", async () => {
    const service = child(STAYS);
    const start = service.start();
    start.catch(() => undefined);
    while (pids().length < 1) await delay(50);
    await service.stop();
    await expect(start).rejects.toThrow("the test did not start");
    expect(pids().filter(isAlive)).toEqual([]);
  });

  it("is killed when it does not stop by itself", async () => {
    const service = child(`process.on("SIGTERM", () => undefined); log("ready"); ${STAYS}`);
    await service.start();
    await service.stop();
    expect(pids().filter(isAlive)).toEqual([]);
  });
});
