import { AppError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";

/** Something that listens: it can be stopped once, in-flight calls finishing first. */
export interface RunningService {
  /** For the log: where it listens. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Runs a service process: starts it, logs `ready`, and stops it on SIGTERM, SIGINT or when the process that
 * started it with an IPC channel is gone. Ends with one clear line and exit code 1 when it cannot start.
 */
export async function runService(log: Logger, start: () => Promise<RunningService>): Promise<void> {
  try {
    const service = await start();
    let stopping = false;
    const stop = (reason: string) => {
      if (stopping) return;
      stopping = true;
      log.info("stopping", { reason });
      service.close().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error("stop failed", { error });
          process.exit(1);
        },
      );
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
    process.on("disconnect", () => { stop("parent gone"); });
    log.info("ready", { address: service.address });
  } catch (error) {
    log.error("cannot start", { reason: reasonOf(error), error });
    process.exit(1);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.message;
  // The HTTP server says it in a code, the gRPC server in its message alone.
  if (error instanceof Error && /EADDRINUSE/.test(`${(error as NodeJS.ErrnoException).code} ${error.message}`)) {
    return "its address is in use: stop what listens there, or choose another";
  }
  return "see error";
}
