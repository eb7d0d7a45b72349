import { setTimeout as delay } from "node:timers/promises";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { AppError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import { keepBuffersApart } from "./keep-buffers-apart.js";

/** Something that listens: it can be stopped once, in-flight calls finishing first. */
export interface RunningService {
  /** For the log: where it listens. */
  readonly address: string;
  /** Says that it is not ready any more, and goes on answering; how long it has to, in ms, until nobody sends it calls. */
  leave?(): number;
  close(): Promise<void>;
}

export interface RunServiceOptions {
  /** Longest stop, from the first request on, what `leave` asks for aside: what hangs after that is cut off. */
  stopWithinMs?: number;
}

/** The default deadline of a call: what is in flight for longer was promised no answer. */
const STOP_WITHIN_MS = 10_000;

/** One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm. */
const REPEATED_WITHIN_MS = 1_000;

/**
 * Runs a service process: starts it, logs `ready`, and stops it, once it has left, on SIGTERM, SIGINT or when the process that
 * started it with an IPC channel is gone, also while it is still starting. Ends with one clear line and exit code 1
 * when it cannot start, with exit code 1 when it has not stopped in time, and at once on a second signal.
 */
export async function runService(log: Logger, start: () => Promise<RunningService>, { stopWithinMs = STOP_WITHIN_MS }: RunServiceOptions = {}): Promise<void> {
  // It would write lines of its own, which are no JSON and whose words are not ours, unless somebody asks for them.
  if (process.env["GRPC_VERBOSITY"] === undefined) setLogVerbosity(logVerbosity.NONE);
  keepBuffersApart();
  const stopping = stopRequest(log, stopWithinMs);
  let service: RunningService;
  try {
    service = await start();
  } catch (error) {
    log.error("cannot start", { reason: reasonOf(error), error });
    process.exit(1);
  }
  log.info("ready", { address: service.address });
  const { postpone } = await stopping;
  try {
    const leavingMs = service.leave?.() ?? 0;
    postpone(leavingMs);
    await delay(leavingMs);
    await service.close();
  } catch (error) {
    log.error("stop failed", { error });
    process.exit(1);
  }
  process.exit(0);
}

interface StopRequest {
  /** Gives the stop more time than it had. */
  readonly postpone: (ms: number) => void;
}

/** Resolves when this process is asked to stop; from then on it ends by itself after `stopWithinMs`. */
function stopRequest(log: Logger, stopWithinMs: number): Promise<StopRequest> {
  return new Promise((resolve) => {
    let stoppingSinceMs: number | undefined;
    const stop = (reason: string) => {
      if (stoppingSinceMs !== undefined) return;
      stoppingSinceMs = performance.now();
      log.info("stopping", { reason });
      const cutOffAfter = (ms: number) => setTimeout(() => {
        log.error("stop took too long", { durationMs: ms });
        process.exit(1);
      }, ms);
      let cutOff = cutOffAfter(stopWithinMs);
      resolve({
        postpone(ms) {
          clearTimeout(cutOff);
          cutOff = cutOffAfter(stopWithinMs + ms);
        },
      });
    };
    const onSignal = (signal: NodeJS.Signals) => {
      if (stoppingSinceMs === undefined) {
        stop(signal);
      } else if (performance.now() - stoppingSinceMs > REPEATED_WITHIN_MS) {
        log.warn("stopped at once", { reason: `second signal, ${signal}` });
        process.exit(1);
      }
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
    process.on("disconnect", () => { stop("parent gone"); });
    // It may have gone while this process loaded its code.
    if ("connected" in process && !process.connected) stop("parent gone");
  });
}

function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.message;
  // Of the HTTP server and of grpc-js, whose error has nothing but its message.
  const [, address] = /EADDRINUSE: address already in use ([^\s,\]]+)/.exec(error instanceof Error ? error.message : "") ?? [];
  if (address !== undefined) return `${address} is in use: stop what listens there, or choose another address`;
  return "see error";
}
