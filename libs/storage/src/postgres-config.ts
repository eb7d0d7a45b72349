import { StartupError } from "@memseal/errors";

/** The bootstrap superuser, for provisioning and tests; no service connects as it. */
export const SUPERUSER = "postgres";

/** Names the socket file only: nothing listens on TCP. */
export const PORT = 5432;

/** Where the parts of one embedded database lie. Every path is absolute. */
export interface PostgresLayout {
  readonly binaries: string;
  readonly data: string;
  readonly socket: string;
  readonly log: string;
  readonly passwordFile: string;
}

/** The layout under `folder`, which is absolute and free of symbolic links. */
export function layoutOf(folder: string): PostgresLayout {
  return {
    binaries: `${folder}/binaries`,
    data: `${folder}/data`,
    socket: `${folder}/socket`,
    log: `${folder}/postgres.log`,
    passwordFile: `${folder}/superuser.password`,
  };
}

/** Bytes of a Unix socket's path, its closing NUL left out. Source: sun_path in unix(7) of Linux and unix(4) of macOS. */
const SOCKET_PATH_BYTES: Readonly<Partial<Record<NodeJS.Platform, number>>> = { linux: 107, darwin: 103 };

/**
 * Refuses a folder whose socket could not be bound. Moving only the socket elsewhere would hide it from
 * every other program that looks for the database in its folder.
 * @throws StartupError
 */
export function assertSocketFits(socket: string, platform: NodeJS.Platform): void {
  const excess = Buffer.byteLength(`${socket}/.s.PGSQL.${PORT}`) - (SOCKET_PATH_BYTES[platform] ?? 103);
  if (excess > 0) {
    throw new StartupError(`the path of the database's Unix socket in ${socket} is ${excess} bytes too long: choose a folder with a shorter path (MEMSEAL_HOME)`);
  }
}

/** Arguments of initdb for a new cluster. passwordFile: holds the superuser's password; read once. */
export function initdbArguments({ data, passwordFile }: { data: string; passwordFile: string }): string[] {
  return [
    `--pgdata=${data}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    // The builtin provider sorts by code point on every machine: a libc upgrade cannot corrupt an index.
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=scram-sha-256",
    "--auth-host=reject",
    "--no-instructions",
  ];
}

/** Given as arguments rather than in postgresql.conf, so that no ALTER SYSTEM and no older file wins over them. */
const SETTINGS: Readonly<Record<string, string | number>> = {
  listen_addresses: "",
  port: PORT,
  unix_socket_permissions: "0700",
  password_encryption: "scram-sha-256",

  // For two releases with two indexers each, side by side: an indexer holds up to 19.
  max_connections: 100,
  // A small machine: the services beside the database need the rest of its memory.
  shared_buffers: "128MB",
  jit: "off",

  // What was acknowledged is on disk.
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",

  // The log is plaintext at rest, so neither a statement nor a value of a row may reach it. Errors of statements
  // quote values in their message (invalid input syntax for ...: "..."), hence only LOG and above; terse drops
  // DETAIL and CONTEXT, which quote whole rows, and the statement a crashed backend was running.
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  log_statement: "none",
  log_min_duration_statement: -1,
  log_min_duration_sample: -1,
  log_transaction_sample_rate: 0,
  log_parameter_max_length: 0,
  log_parameter_max_length_on_error: 0,
  log_lock_waits: "off",
  log_temp_files: -1,
  log_autovacuum_min_duration: -1,
  log_checkpoints: "off",
  log_destination: "stderr",
  logging_collector: "off",
  log_timezone: "UTC",
  timezone: "UTC",
};

/** Arguments of the server. */
export function postgresArguments({ data, socket }: Pick<PostgresLayout, "data" | "socket">): string[] {
  // The setting is a list: quoted, a comma or a quote in the path is part of the path.
  const settings = { ...SETTINGS, unix_socket_directories: `"${socket.replaceAll('"', '""')}"` };
  return ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

/** A server that ran this long was well: its exit is not one of a series. */
export const STABLE_AFTER_MS = 60_000;

/**
 * How long to wait before the server is started again, or undefined to give up.
 * quickFailures: exits in a row, each sooner than STABLE_AFTER_MS, this one included.
 */
export function restartDelayMs(quickFailures: number): number | undefined {
  // After a kill -9 of the server its backends finish what they are at, and no new server starts beside them.
  // Seven tries take 13 s in all: longer than most statements, and shorter than an operator's patience.
  if (quickFailures > 7) return undefined;
  return quickFailures === 0 ? 0 : 100 * 2 ** (quickFailures - 1);
}
