import { StartupError } from "@memseal/errors";
import { assertSocketFits, initdbArguments, postgresArguments, restartDelayMs } from "./postgres-config.js";

describe("postgresArguments", () => {
  const settings = postgresArguments({ data: "/d", socket: '/a, "b"/socket' });

  it("listens on no network", () => {
    expect(settings).toContain("listen_addresses=");
  });

  it("lets only the server's own life into the log", () => {
    expect(settings).toEqual(expect.arrayContaining(["log_min_messages=log", "log_min_error_statement=panic", "log_error_verbosity=terse", "log_statement=none"]));
  });

  it("acknowledges only what is on disk", () => {
    expect(settings).toEqual(expect.arrayContaining(["fsync=on", "full_page_writes=on", "synchronous_commit=on"]));
  });

  it("reads a comma or a quote in the socket's path as part of the path", () => {
    expect(settings).toContain('unix_socket_directories="/a, ""b""/socket"');
  });
});

describe("initdbArguments", () => {
  it("asks every local connection for a password and rejects every other", () => {
    expect(initdbArguments({ data: "/d", passwordFile: "/p" })).toEqual(expect.arrayContaining(["--auth-local=scram-sha-256", "--auth-host=reject"]));
  });
});

describe("assertSocketFits", () => {
  // "/.s.PGSQL.5432" is 14 bytes.
  const longest = `/${"x".repeat(107 - 14 - 1)}`;

  it("accepts the longest path the system binds, and refuses one byte more", () => {
    expect(() => { assertSocketFits(longest, "linux"); }).not.toThrow();
    expect(() => { assertSocketFits(`${longest}x`, "linux"); }).toThrow(StartupError);
  });

  it("counts bytes rather than characters", () => {
    expect(() => { assertSocketFits(longest.replace("x", "é"), "linux"); }).toThrow("1 bytes too long");
  });

  it("knows that macOS has less room", () => {
    expect(() => { assertSocketFits(longest, "darwin"); }).toThrow(StartupError);
  });
});

describe("restartDelayMs", () => {
  it("starts a server that ran well again at once", () => {
    expect(restartDelayMs(0)).toBe(0);
  });

  it("waits longer after each quick failure, and gives up within half a minute", () => {
    const delays = Array.from({ length: 7 }, (_, index) => restartDelayMs(index + 1) ?? NaN);
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400]);
    expect(delays.reduce((sum, delay) => sum + delay)).toBeLessThan(30_000);
    expect(restartDelayMs(8)).toBeUndefined();
  });
});
