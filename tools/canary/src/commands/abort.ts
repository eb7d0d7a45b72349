import { setTimeout as delay } from "node:timers/promises";
import { HaproxyLoadBalancer } from "../adapters/haproxy.js";
import { isRunning, readRunFile } from "../runner/run-file.js";
import type { Command } from "./command.js";
import { parseEvidenceDir } from "./evidence-dir.js";

/** A runner is given so long to take the candidate back before it is done without it. */
const RUNNER_WITHIN_MS = 10_000;

export const abort: Command = {
  usage: ["abort --evidence DIR"],
  run: async (args) => {
    const dir = parseEvidenceDir(args);
    const socket = process.env["MEMSEAL_PROXY_SOCKET"] ?? "";
    if (socket === "") {
      console.error("missing: MEMSEAL_PROXY_SOCKET, path of HAProxy's runtime socket, by which it is seen that the candidate gets nothing any more");
      return 1;
    }
    const loadBalancer = new HaproxyLoadBalancer(socket);
    const file = readRunFile(dir);
    if (file !== undefined && isRunning(file)) {
      process.kill(file.pid, "SIGTERM");
      for (const giveUpAtMs = Date.now() + RUNNER_WITHIN_MS; Date.now() < giveUpAtMs;) {
        if ((await loadBalancer.read()).candidatePercent === 0) {
          console.log("the runner has taken the candidate back, and writes its evidence");
          return 0;
        }
        await delay(100);
      }
    }
    await loadBalancer.setCandidateShare(0);
    console.log("no runner did it: the candidate was taken back by this command, and there is no evidence of it");
    return 0;
  },
};
