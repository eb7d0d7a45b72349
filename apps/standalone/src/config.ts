import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";

/** The variables of a Memseal on one machine. Those of a service that are not here have that service's default. */
export const standaloneConfig = z.object({
  /** Everything it keeps: database, secrets, the first API key. */
  MEMSEAL_HOME: z.string().default(join(homedir(), ".memseal")).transform((dir) => resolve(dir)),
  /** Absent: `models` in MEMSEAL_HOME. */
  MEMSEAL_MODELS_DIR: z.string().optional(),
  MEMSEAL_HTTP_ADDRESS: z.string().default("127.0.0.1:7480"),
  MEMSEAL_GRPC_ADDRESS: z.string().default("127.0.0.1:7481"),
  /** Of what callers connect to: the gateway's, which the banner speaks of. */
  MEMSEAL_PUBLIC_TLS_CERT_FILE: z.string().optional(),
  /** A PostgreSQL of your own, as app, auth, scheduler and owner role; all four, or none for the embedded one. */
  DATABASE_URL: z.string().optional(),
  DATABASE_AUTH_URL: z.string().optional(),
  DATABASE_SCHEDULER_URL: z.string().optional(),
  DATABASE_OWNER_URL: z.string().optional(),
});

export type StandaloneConfig = z.infer<typeof standaloneConfig>;
