import type pg from "pg";
import { wrap, type App } from "./rehearse.js";

/** A statement as the driver is given it; those without parameters come as text. */
export type Statement = string | pg.QueryConfig;
export type Rows = Pick<pg.QueryResult<Record<string, unknown>>, "rows">;
type Query = (this: pg.Client, ...args: [Statement, ...unknown[]]) => Promise<Rows>;

/** Has every statement with parameters that the app sends to its database go through `through`, which may `send` others on the same connection. */
export async function interceptStatements(app: App, through: (statement: pg.QueryConfig, send: (statement: Statement) => Promise<Rows>) => Promise<Rows>): Promise<void> {
  const { default: { Client } } = await app.package<{ default: { Client: { prototype: { query: Query } } } }>("@memseal/storage", "pg");
  wrap(Client, "query", (query) => function (...args) {
    const [statement, ...others] = args;
    // The pool's own way of sending answers to a callback.
    if (others.length > 0 || typeof statement !== "object" || !Array.isArray(statement.values)) return query.apply(this, args);
    return through(statement, (other) => query.call(this, other));
  });
}
