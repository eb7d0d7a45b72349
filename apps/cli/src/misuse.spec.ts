import { runMemseal } from "./memseal.js";

/** What a run in this process wrote to stderr, line by line, and its exit code. stdout must stay empty. */
async function misuse(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: unknown; lines: string[] }> {
  const [before, stdout, stderr] = [{ ...process.env }, process.stdout.write, process.stderr.write];
  let [answered, written] = ["", ""];
  process.stdout.write = (text) => { answered += String(text); return true; };
  process.stderr.write = (text) => { written += String(text); return true; };
  Object.assign(process.env, { MEMSEAL_HOME: "/nowhere", DATABASE_OWNER_URL: "postgres://memseal_owner:hunter2@127.0.0.1:1/memseal", ...env });
  try {
    await runMemseal([...args]);
    expect(answered).toBe("");
    return { code: process.exitCode, lines: written.trimEnd().split("\n") };
  } finally {
    Object.assign(process, { exitCode: undefined });
    Object.assign(process.stdout, { write: stdout });
    Object.assign(process.stderr, { write: stderr });
    for (const name of Object.keys(process.env)) if (!(name in before)) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, before);
  }
}

const MISUSED = 2;

describe("memseal", () => {
  it("answers nothing at all with how it is used", async () => {
    const { code, lines } = await misuse([], {});
    expect(code).toBe(MISUSED);
    expect(lines.join("\n")).toContain("USAGE");
  });

  it.each<[string[], string]>([
    [["remember"], "Unknown command"],
    [["add"], "TEXT"],
    [["add", "two", "words"], "too many words"],
    [["search", "a", "--top", "3"], "Unknown option '--top'"],
    [["search", "a", "--top-k", "three"], "--top-k must be a whole number"],
    [["search", "a", "--filters", "[]"], "--filters must be a JSON object"],
    [["delete"], "exactly one of"],
    [["delete", "--all", "--key", "a"], "exactly one of"],
    [["keys"], "No command specified; see --help"],
    [["keys", "create"], "--user: must be given, or --delegate"],
    [["keys", "create", "--user", "a", "--delegate"], "--user: must be given, or --delegate"],
    [["keys", "create", "--user", "a", "--scopes", "read,root"], "--scopes: are of read, write, admin"],
    [["keys", "create", "--delegate", "--scopes", "delegate"], "--scopes: are of read, write, admin"],
    [["keys", "create", "--delegate", "--namespace", "a b"], "--namespace: has 1 to 200 visible"],
    [["keys", "create", "--user", "a", "--days", "0"], "--days: is a whole number"],
    [["keys", "create", "--user", "a", "--admin"], "Unknown option '--admin'"],
    [["keys", "revoke"], "Missing required positional argument"],
    [["keys", "revoke", "nobody"], "takes the id of a key"],
    [["keys", "vouch"], "keys vouch takes the id of a key, or --all"],
    [["keys", "vouch", "abcdefghijkl", "--all"], "keys vouch takes the id of a key, or --all"],
    [["token"], "Missing required argument: --user"],
    [["token", "--user", "a", "--url", "gopher://x"], "--url: begins with http"],
    [["migrate"], "No command specified; see --help"],
    [["migrate", "sideways"], "Unknown command sideways"],
    [["migrate", "up", "--force"], "Unknown option '--force'"],
    [["migrate", "up", "--destroy-data"], "Unknown option '--destroy-data'"],
    [["migrate", "up", "2"], "too many words"],
    [["migrate", "down", "--to"], "Option '--to <value>' argument missing"],
    [["migrate", "down", "--to", "-1"], "Option '--to' argument is ambiguous"],
    [["migrate", "down", "--to", "two"], "--to must be a whole number"],
    [["migrate", "down", "--to", "20000"], "--to takes the number of a migration"],
    [["migrate", "status", "--to", "1"], "Unknown option '--to'"],
  ])("answers %j with one line and exit code 2", async (args, problem) => {
    expect(await misuse(args, { MEMSEAL_API_KEY: "k" })).toEqual({ code: MISUSED, lines: [expect.stringContaining(problem)] });
  });

  it.each<[string[], string]>([
    [["list", "--url", "ftp://a"], "a URL begins with http"],
    [["list", "--key-file", "/nowhere"], "/nowhere cannot be read"],
    [["keys", "create", "--user", "a"], "nothing was started in /nowhere yet"],
    [["token", "--user", "a", "--url", "http://127.0.0.1:1"], "the gateway at http://127.0.0.1:1 cannot be reached"],
    [["migrate", "status"], "the database cannot be reached as its owner: check DATABASE_OWNER_URL"],
  ])("answers %j with one line and exit code 1", async (args, problem) => {
    const answer = await misuse(args, { MEMSEAL_API_KEY: "k" });
    expect(answer).toEqual({ code: 1, lines: [expect.stringContaining(problem)] });
    expect(answer.lines[0]).not.toContain("hunter2");
  });

  it("says which variable holds the delegate key, and errors in JSON where asked", async () => {
    expect(await misuse(["token", "--user", "a"], {})).toEqual({ code: 1, lines: [expect.stringContaining("MEMSEAL_API_KEY must hold a delegate key")] });
    const { lines } = await misuse(["token", "--user", "a", "--json"], {});
    expect(JSON.parse(lines[0])).toMatchObject({ error: { message: expect.stringContaining("MEMSEAL_API_KEY") as string } });
  });
});
