import { freePort } from "@memseal/transport/testing";
import { AlertWebhook } from "./alert-webhook.js";

const TOKEN = "a token of Alertmanager";

describe("the webhook", () => {
  let webhook: AlertWebhook;
  let url: string;
  let woken: number;

  beforeEach(async () => {
    const port = await freePort();
    woken = 0;
    webhook = await AlertWebhook.listen({ host: "127.0.0.1", port }, TOKEN, () => { woken++; });
    url = `http://127.0.0.1:${port}/alerts`;
  });
  afterEach(() => { webhook.close(); });

  const send = async (body: string, token = TOKEN) => (await fetch(url, { method: "POST", body, headers: { authorization: `Bearer ${token}` } })).status;
  const alert = (name: string, action?: string, status = "firing") => ({ status, labels: { alertname: name, ...(action === undefined ? {} : { memseal_action: action }), job: "x" } });

  it("hears what fires and acts on a release, and hands it out once", async () => {
    expect(await send(JSON.stringify({ version: "4", alerts: [alert("MemsealErrors", "rollback"), alert("MemsealWatchdog", "heartbeat"), alert("Other"), alert("MemsealErrors", "rollback", "resolved")] }))).toBe(200);
    expect(webhook.take()).toMatchObject([{ name: "MemsealErrors", action: "rollback" }, { name: "MemsealWatchdog", action: "heartbeat" }]);
    expect(webhook.take()).toEqual([]);
    expect(webhook.heard).toHaveLength(2);
    expect(woken).toBe(1);
  });

  it("is not woken by the alert that always fires", async () => {
    await send(JSON.stringify({ alerts: [alert("MemsealWatchdog", "heartbeat")] }));
    expect(woken).toBe(0);
  });

  it.each([["another token", "another"], ["a longer one", `${TOKEN}x`], ["none", ""]])("listens to nobody with %s: a release could be ended by anybody", async (_what, token) => {
    expect(await send(JSON.stringify({ alerts: [alert("MemsealErrors", "rollback")] }), token)).toBe(401);
    expect(webhook.heard).toEqual([]);
    expect(woken).toBe(0);
  });

  it.each(["", "{", "[]", '{"alerts":[{}]}', '{"alerts":[{"status":"firing","labels":{"alertname":"A","memseal_action":"promote"}}]}'])("takes %j for no notification", async (body) => {
    expect(await send(body)).toBe(400);
    expect(webhook.heard).toEqual([]);
  });

  it("reads no more than a megabyte", async () => {
    await expect(send(" ".repeat(2_000_000))).rejects.toThrow();
    expect(await send('{"alerts":[]}')).toBe(200);
  });

  it("answers no other path", async () => {
    expect((await fetch(url.replace("alerts", "other"), { method: "POST" })).status).toBe(404);
    expect((await fetch(url)).status).toBe(404);
  });
});
