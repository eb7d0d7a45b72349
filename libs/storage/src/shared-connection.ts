import type pg from "pg";

interface Lease {
  readonly client: Promise<pg.PoolClient>;
  underWay: number;
}

/**
 * Statements that are each a transaction of its own, on one connection of a pool (createPool): they are sent without waiting for one another. A
 * burst of them then takes a round trip or two; in a line before the pool each waits for those ahead of it, and for the event loop as often.
 */
export class SharedConnection {
  #lease: Lease | undefined;

  constructor(private readonly pool: pg.Pool) {}

  /** After a failure the next statement has another connection; those under way end as they do. */
  async query<Row extends pg.QueryResultRow>(sql: string, parameters: readonly unknown[]): Promise<pg.QueryResult<Row>> {
    const lease = (this.#lease ??= { client: this.pool.connect(), underWay: 0 });
    lease.underWay++;
    let client: pg.PoolClient | undefined;
    try {
      client = await lease.client;
      return await client.query<Row>(sql, [...parameters]);
    } catch (error) {
      if (this.#lease === lease) this.#lease = undefined;
      throw error;
    } finally {
      if (--lease.underWay === 0) {
        const isSound = this.#lease === lease;
        if (isSound) this.#lease = undefined;
        client?.release(!isSound);
      }
    }
  }
}
