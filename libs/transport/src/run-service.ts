import { AppError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";

/** Something that listens: it can be stopped once, in-flight calls finishing first. */
export interface RunningService {
  close(): Promise<void>;
}

/**
 * Runs a service process: starts it, prints `{"event":"ready"}`, stops it on SIGTERM or SIGINT, and ends with
 * one clear line and exit code 1 when it cannot start.
 */
export async function runService(log: Logger, address: string, start: () => Promise<RunningService>): Promise<void> {
  try {
    const service = await start();
    const stop = (signal: NodeJS.Signals) => {
      log.info("stopping", { reason: signal });
      void service.close().then(() => process.exit(0), (error: unknown) => {
        log.error("stop failed", { error });
        process.exit(1);
      });
    };
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    log.info("ready", { address });
  } catch (error) {
    log.error("cannot start", { reason: error instanceof AppError ? error.message : "see error", error });
    process.exit(1);
  }
}
