import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { z } from "zod";
import { jsonIn } from "../json.js";
import type { AlertNotice } from "./release.js";

/** An alert with the time at which it was heard of. */
export interface HeardAlert extends AlertNotice {
  readonly received_at: string;
}

const MOST_BYTES = 1_048_576;

/** Of Alertmanager's webhook, version 4, what acts on a release. Source: Alertmanager, Configuration, `<webhook_config>`. */
const NOTIFICATION = z.object({
  alerts: z.array(z.object({
    status: z.enum(["firing", "resolved"]),
    labels: z.object({ alertname: z.string().max(100), memseal_action: z.enum(["rollback", "hold", "heartbeat"]).optional() }),
  })),
});

/**
 * Where Alertmanager tells of alerts: a second trigger beside the runner's own looks. Who knows the token can end a release, and
 * nobody else is listened to.
 */
export class AlertWebhook {
  readonly #server: Server;
  readonly #token: Buffer;
  readonly #heard: HeardAlert[] = [];
  #taken = 0;

  private constructor(token: string, private readonly onAlert: () => void) {
    this.#token = digest(`Bearer ${token}`);
    this.#server = createServer((request, response) => { this.#answer(request, response); });
  }

  /** address: host and port. onAlert: an alert has come that is no heartbeat. @throws Error when nobody can listen there */
  static async listen({ host, port }: { host: string; port: number }, token: string, onAlert: () => void): Promise<AlertWebhook> {
    const webhook = new AlertWebhook(token, onAlert);
    await new Promise<void>((resolve, reject) => {
      webhook.#server.once("error", reject).listen(port, host, resolve);
    });
    return webhook;
  }

  /** Everything that was heard so far. */
  get heard(): readonly HeardAlert[] {
    return this.#heard;
  }

  /** What was heard since the last call. */
  take(): HeardAlert[] {
    const taken = this.#heard.slice(this.#taken);
    this.#taken = this.#heard.length;
    return taken;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const end = (status: number) => { response.writeHead(status).end(); };
    if (request.method !== "POST" || request.url !== "/alerts") { end(404); return; }
    if (!timingSafeEqual(digest(request.headers.authorization ?? ""), this.#token)) { end(401); return; }
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MOST_BYTES) chunks.push(chunk);
      else request.destroy();
    });
    request.on("end", () => { end(this.#hear(Buffer.concat(chunks).toString()) ? 200 : 400); });
  }

  /** Whether it was a notification. */
  #hear(body: string): boolean {
    const parsed = NOTIFICATION.safeParse(jsonIn(body));
    if (!parsed.success) return false;
    const received_at = new Date().toISOString();
    const heard = parsed.data.alerts.flatMap(({ status, labels: { alertname: name, memseal_action: action } }) =>
      (status === "firing" && action !== undefined ? [{ name, action, received_at }] : []));
    this.#heard.push(...heard);
    if (heard.some(({ action }) => action !== "heartbeat")) this.onAlert();
    return true;
  }
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
