import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { startTestDatabase, type TestDatabase } from "@memseal/storage/testing";
import { appScript, runToExit } from "@memseal/transport/testing";

const CLI = appScript("cli");

let home: string;
let database: TestDatabase;

beforeAll(async () => {
  database = await startTestDatabase();
  home = mkdtempSync(join(tmpdir(), "memseal-cli-"));
  mkdirSync(join(home, "secrets"));
  for (const name of ["root.key", "tenant.secret", "api-key.pepper"]) writeFileSync(join(home, "secrets", name), randomBytes(32), { mode: 0o600 });
});

afterAll(async () => {
  rmSync(home, { recursive: true });
  await database.stop();
});

const keys = (...args: string[]) => runToExit(CLI, { MEMSEAL_HOME: home, DATABASE_OWNER_URL: database.urls.owner }, ["keys", ...args]);

describe("memseal keys", () => {
  it("says where nothing was started yet, rather than that something was lost", async () => {
    const empty = mkdtempSync(join(tmpdir(), "memseal-cli-"));
    for (const args of [["list"], ["create", "--user", "ann"]]) {
      expect(await runToExit(CLI, { MEMSEAL_HOME: empty }, ["keys", ...args])).toEqual({ code: 1, lines: [`memseal: nothing was started in ${empty} yet: run \`memseal start\` first, or set MEMSEAL_HOME to where it was`] });
    }
    mkdirSync(join(empty, "postgres"));
    expect((await runToExit(CLI, { MEMSEAL_HOME: empty }, ["keys", "list"])).lines).toEqual([expect.stringContaining("root.key cannot be read: restore it from your backup")]);
    rmSync(empty, { recursive: true });
  });
});

describe("memseal keys create", () => {
  it("prints a new key each time and keeps no secret and no user id of it", async () => {
    const { code, lines } = await keys("create", "--user", "zebrafinch");
    const again = await keys("create", "--user", "zebrafinch", "--scopes", "read");
    expect([code, again.code]).toEqual([0, 0]);
    expect(lines).toEqual([expect.stringMatching(/^msk_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}$/)]);
    expect(again.lines).not.toEqual(lines);
    const rows = await database.asSuperuser<{ key_id: string; user_hash: Buffer; scopes: string[] }>("SELECT * FROM memseal.api_key ORDER BY created_at");
    expect(rows.map(({ scopes }) => scopes)).toEqual([["read", "write"], ["read"]]);
    expect(rows[0].user_hash.equals(rows[1].user_hash)).toBe(true);
    const secret = lines[0].slice(17);
    for (const kept of [JSON.stringify(rows), Buffer.concat(rows.map(({ user_hash: hash }) => hash)).toString("latin1")]) {
      expect(kept).not.toContain("zebrafinch");
      expect(kept).not.toContain(secret);
    }
  });

  it("takes a user's id for that of a namespace, and none for a delegate key", async () => {
    const made = async (...args: string[]) => JSON.parse((await keys("create", "--json", ...args)).lines[0]) as { key_id: string; scopes: string[]; expires_at: string | null };
    const [plain, shop, delegate] = [await made("--user", "42"), await made("--user", "42", "--namespace", "shop", "--scopes", "read,admin", "--days", "30"), await made("--delegate", "--namespace", "shop")];
    const rows = await database.asSuperuser<{ key_id: string; user_hash: Buffer | null; namespace: string; scopes: string[] }>("SELECT * FROM memseal.api_key");
    const rowOf = (keyId: string) => rows.find((row) => row.key_id === keyId)!;
    expect(rowOf(shop.key_id).user_hash!.equals(rowOf(plain.key_id).user_hash!)).toBe(false);
    expect(rowOf(shop.key_id)).toMatchObject({ namespace: "shop", scopes: ["read", "admin"] });
    expect(rowOf(delegate.key_id)).toMatchObject({ user_hash: null, namespace: "shop", scopes: ["read", "write", "delegate"] });
    expect([plain.expires_at, typeof shop.expires_at]).toEqual([null, "string"]);
  });

  it("takes no user's id that is empty, or too long for a request to name", async () => {
    expect(await keys("create", "--user", "")).toMatchObject({ code: 2, lines: [expect.stringContaining("user_id: must not be empty")] });
    expect(await keys("create", "--user", "u".repeat(1_025))).toMatchObject({ code: 2, lines: ["memseal: --user: has at most 1024 characters"] });
    expect(await keys("create", "--user", "\u{1F511}".repeat(1_024))).toMatchObject({ code: 0 });
  });

  it("says what to do when no database was started", async () => {
    const { code, lines } = await runToExit(CLI, { MEMSEAL_HOME: home }, ["keys", "create", "--user", "a"]);
    expect(code).toBe(1);
    expect(lines[0]).toContain("start Memseal first, or set DATABASE_OWNER_URL");
  });

  it("says what to do when the owner's database is away or refuses", async () => {
    const { code, lines } = await runToExit(CLI, { MEMSEAL_HOME: home, DATABASE_OWNER_URL: "postgres://memseal_owner:wrong@127.0.0.1:1/memseal" }, ["keys", "create", "--user", "a"]);
    expect(code).toBe(1);
    expect(lines[0]).toContain("database cannot be reached");
    expect(lines[0]).not.toContain("wrong");
  });

  it("refuses a pepper that others can read", async () => {
    const pepper = join(home, "secrets/api-key.pepper");
    chmodSync(pepper, 0o644);
    const { code, lines } = await keys("create", "--user", "a");
    chmodSync(pepper, 0o600);
    expect(code).toBe(1);
    expect(lines[0]).toContain("chmod 600");
  });
});

describe("memseal keys list and revoke", () => {
  const listed = async () => JSON.parse((await keys("list", "--json")).lines[0]) as { key_id: string; state: string; bound: boolean; revoked_at: string | null }[];

  it("show every key without secret and user, and end one for good, known by its id or whole", async () => {
    const [key] = (await keys("create", "--user", "kingfisher")).lines;
    const id = key.slice(4, 16);
    const table = (await keys("list")).lines.join("\n");
    expect(table).toMatch(new RegExp(`${id} +active +one user +default +read,write`));
    for (const secret of [key.slice(17), "kingfisher"]) expect(table).not.toContain(secret);
    expect((await keys("revoke", id)).lines).toEqual([`revoked ${id}; gateways that know it refuse it within 30 s`]);
    const [first] = (await listed()).filter((one) => one.key_id === id);
    expect(first).toMatchObject({ state: "revoked", bound: true });
    const again = JSON.parse((await keys("revoke", key, "--json")).lines[0]) as object;
    expect(again).toEqual({ key_id: id, revoked_at: first.revoked_at });
  });

  it("say that there is no such key", async () => {
    const { code, lines } = await keys("revoke", "abcdefghijkl");
    expect([code, lines]).toEqual([1, ["memseal: API key abcdefghijkl not found"]]);
  });

  it("need the root key, which rows are authenticated under", async () => {
    const { code, lines } = await runToExit(CLI, { MEMSEAL_HOME: home, DATABASE_OWNER_URL: database.urls.owner, MEMSEAL_ROOT_KEY_FILE: join(home, "none") }, ["keys", "list"]);
    expect([code, lines.length]).toEqual([1, 1]);
    expect(lines[0]).toContain(`secret file ${join(home, "none")} cannot be read`);
  });
});

describe("memseal keys vouch and audit", () => {
  const stateOf = async (id: string) => (JSON.parse((await keys("list", "--json")).lines[0]) as { key_id: string; state: string }[]).find((one) => one.key_id === id)!.state;

  it("vouch for a key of an earlier release, never for an altered one, and say what was done to both", async () => {
    const [old, altered] = [(await keys("create", "--user", "a")).lines[0].slice(4, 16), (await keys("create", "--user", "b")).lines[0].slice(4, 16)];
    await database.asSuperuser("UPDATE memseal.api_key SET mac = NULL WHERE key_id = $1", [old]);
    await database.asSuperuser("UPDATE memseal.api_key SET scopes = '{admin}' WHERE key_id = $1", [altered]);
    expect([await stateOf(old), await stateOf(altered)]).toEqual(["unauthenticated", "altered"]);
    expect(await keys("vouch", altered)).toEqual({ code: 1, lines: [`memseal: API key without a MAC named ${altered} not found`] });
    expect(await keys("vouch", "--all")).toEqual({ code: 0, lines: [`vouched for ${old}`] });
    expect([await stateOf(old), await stateOf(altered)]).toEqual(["active", "altered"]);

    const { code, lines } = await keys("audit");
    expect(code).toBe(0);
    for (const [action, id] of [["create", old], ["create", altered], ["vouch", old]]) expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^\\d+ +[\\d-]+T[\\d:.]+Z +${action} +${id}$`)));
    expect(lines.at(-1)).toBe("the chain is whole");
    await database.asSuperuser("UPDATE memseal.key_event SET action = 'create' WHERE action = 'vouch'");
    const broken = await keys("audit", "--json");
    expect(broken.code).toBe(1);
    expect(JSON.parse(broken.lines[0])).toMatchObject({ whole: false });
  });
});

describe("the help of a command under another", () => {
  it.each([["keys", "create"], ["keys", "list"], ["models", "verify"], ["migrate", "down"]])("names it once, as it is called: %s %s", async (...words) => {
    const { lines } = await runToExit(CLI, {}, [...words, "--help"]);
    expect(stripVTControlCharacters(lines.join("\n"))).toContain(`USAGE memseal ${words.join(" ")} `);
  });
});

describe("memseal token", () => {
  it("keeps a path before /v1, as the client does, and says where no Memseal answers", async () => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url);
      const isMemseal = request.url === "/memory/v1/tokens";
      response.writeHead(isMemseal ? 201 : 502).end(isMemseal ? '{"token":"t-1"}' : "<html>Bad gateway</html>");
    });
    await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const token = (base: string) => runToExit(CLI, { MEMSEAL_API_KEY: "k", MEMSEAL_URL: base }, ["token", "--user", "a"]);
    expect(await token(`${url}/memory/`)).toMatchObject({ code: 0, lines: ["t-1"] });
    expect(await token(url)).toMatchObject({ code: 1, lines: [`memseal: what answers at ${url} is no Memseal (HTTP 502): check the address`] });
    expect(asked).toEqual(["/memory/v1/tokens", "/v1/tokens"]);
    server.close();
  });
});
