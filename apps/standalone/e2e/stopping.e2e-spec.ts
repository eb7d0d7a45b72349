import { fork, type ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startProcess } from "@memseal/transport/testing";

const SLOW_SERVICE = fileURLToPath(new URL("fixtures/slow-service.mjs", import.meta.url));

interface Slowness {
  startMs?: number;
  closeMs?: number;
  stopWithinMs?: number;
  readyLine?: string;
}

const start = ({ startMs = 0, closeMs = 0, stopWithinMs = 60_000, readyLine }: Slowness) =>
  startProcess(SLOW_SERVICE, {}, { args: [startMs, closeMs, stopWithinMs].map(String), ...(readyLine === undefined ? {} : { readyLine }) });

describe("a service process", () => {
  it("finishes what is in flight and ends with 0", async () => {
    const service = await start({ closeMs: 300 });
    await service.kill("SIGTERM");
    expect(await service.exited).toBe(0);
  });

  it("ends with 1 at its deadline when something in it does not stop", async () => {
    const service = await start({ closeMs: 600_000, stopWithinMs: 500 });
    await service.kill("SIGTERM");
    expect(await service.exited).toBe(1);
    expect(service.lines.at(-1)).toContain("stop took too long");
  });

  it("ends with 1 at once on a second signal, and takes two in the same second for one", async () => {
    const service = await start({ closeMs: 600_000 });
    const stopping = Date.now();
    for (let signals = 0; signals < 2; signals++) {
      void service.kill("SIGINT");
      while (!service.lines.join("\n").includes("stopping")) await delay(20);
    }
    await delay(Math.max(0, stopping + 1_500 - Date.now()));
    expect(service.lines.at(-1)).toContain('"event":"stopping"');
    await service.kill("SIGINT");
    expect(await service.exited).toBe(1);
    expect(service.lines.at(-1)).toContain('"event":"stopped at once","reason":"second signal, SIGINT"');
  });

  it("that is asked to stop while it starts, stops what it started and ends with 0", async () => {
    const service = await start({ startMs: 500, readyLine: "starting" });
    await service.kill("SIGTERM");
    expect(await service.exited).toBe(0);
  });

  it("ends at its deadline also when its start hangs", async () => {
    const service = await start({ startMs: 600_000, stopWithinMs: 500, readyLine: "starting" });
    await service.kill("SIGTERM");
    expect(await service.exited).toBe(1);
  });

  it.each(["before it loaded its code", "while it starts"])("ends when its parent goes %s", async (when) => {
    const service: ChildProcess = fork(SLOW_SERVICE, ["200", "0", "60000"], { stdio: ["ignore", "pipe", "ignore", "ipc"] });
    const exited = new Promise((resolve) => service.once("exit", resolve));
    if (when === "while it starts") await new Promise((resolve) => service.stdout!.once("data", resolve));
    service.disconnect();
    expect(await exited).toBe(0);
  });
});
