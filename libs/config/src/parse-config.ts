import { StartupError } from "@memseal/errors";
import { z } from "zod";

/**
 * The variables of one app as a frozen object, or every fault at once.
 * Faults name the variable and the rule, never the value: it may be a secret.
 * @throws StartupError
 */
export function parseConfig<T extends z.ZodObject>(schema: T, env: NodeJS.ProcessEnv): Readonly<z.infer<T>> {
  // An empty variable is an unset one: `FOO= npm start` means "without FOO".
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const result = schema.safeParse(set);
  if (result.success) return Object.freeze(result.data);
  const faults = result.error.issues.map((issue) => {
    const name = issue.path.join(".");
    return `  ${name}: ${set[name] === undefined ? "must be set" : issue.message}`;
  });
  throw new StartupError(`configuration is not usable:\n${faults.join("\n")}`);
}

/** A TCP port, 0 to 65535. */
export const port = z.coerce.number().int().min(0).max(65_535);

/** Where a process listens, or is looked for: `host:port` or `unix:/path`. */
export const listenAddress = z.string().regex(/^(unix:\/.+|([^:\s]+|\[[0-9a-f:]+\]):\d{1,5})$/i, "must be host:port or unix:/path");

/** Several, comma-separated. A comma in a socket's path is none between addresses. */
export const listenAddresses = z.string().transform((list) => list.split(/,(?=unix:\/|[^,/]+:\d{1,5}(?:,|$))/)).pipe(z.array(listenAddress).min(1));

/** Variables of what every service tells about itself. */
export const telemetryVariables = {
  /** Name of the release track on every metric and span. */
  MEMSEAL_TRACK: z.enum(["stable", "canary"]).default("stable"),
  /** An OTLP receiver over HTTP, such as http://collector:4318/v1/traces. Without it nothing is traced. */
  MEMSEAL_OTLP_URL: z.url({ protocol: /^https?$/ }).optional(),
};
