import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type pg from "pg";

/** Stands between driver and server and writes down each statement that the driver sends, connection by connection. */
export class WireTap {
  /** Statements in the order they were sent; a list a connection. */
  readonly sent: string[][] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    /** The same database and role, through this tap. */
    readonly config: pg.ClientConfig,
  ) {}

  static async before({ host, port, user, password, database }: Required<Pick<pg.Client, "host" | "port">> & pg.ClientConfig): Promise<WireTap> {
    const target = host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const tap = new WireTap(server, { host: "127.0.0.1", port: (server.address() as { port: number }).port, user, password, database });
    server.on("connection", (client) => { tap.#connect(client, connect(target as never)); });
    return tap;
  }

  #connect(client: Socket, upstream: Socket): void {
    const statements: string[] = [];
    const prepared = new Map<string, string>();
    this.sent.push(statements);
    // The start-up message alone has no type byte.
    let unread = Buffer.alloc(0);
    let hasStarted = false;
    client.on("data", (bytes: Buffer) => {
      unread = Buffer.concat([unread, bytes]);
      for (;;) {
        const head = hasStarted ? 1 : 0;
        if (unread.length < head + 4) break;
        const end = head + unread.readUInt32BE(head);
        if (unread.length < end) break;
        const type = hasStarted ? String.fromCharCode(unread[0]) : "";
        const body = unread.subarray(head + 4, end);
        const [first, second] = stringsOf(body);
        // Query: the text. Parse: a name, then the text. Bind, which each execution needs: a portal, then the name.
        if (type === "Q") statements.push(first);
        if (type === "P") prepared.set(first, second);
        if (type === "B") statements.push(prepared.get(second) ?? `unknown statement ${second}`);
        hasStarted = true;
        unread = unread.subarray(end);
      }
    });
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      this.#sockets.add(from);
      from.pipe(to).on("error", () => undefined);
      from.on("error", () => { to.destroy(); });
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, "close");
  }
}

/** The first two of a message's strings, each up to its NUL. */
function stringsOf(body: Buffer): [string, string] {
  const end = body.indexOf(0);
  return [body.toString("utf8", 0, end), body.toString("utf8", end + 1, body.indexOf(0, end + 1))];
}
