// A gateway of whose calls to the indexer three in ten end as an internal fault.
import { rehearse, wrap } from "./rehearse.js";

type Run = (this: object, ...args: unknown[]) => Promise<unknown>;

const SHARE = 0.3;
/** Multiples of it, without their whole part, lie evenly, and in step with no pattern of the load. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

await rehearse(async (app, hasBegun) => {
  const { IndexerPool } = await app.module<{ IndexerPool: { prototype: { run: Run } } }>("./indexer-pool.js");
  let calls = 0;
  wrap(IndexerPool, "run", (run) => function (...args) {
    if (hasBegun() && (++calls * GOLDEN_RATIO) % 1 < SHARE) return Promise.reject(new Error("a rehearsed fault"));
    return run.apply(this, args);
  });
});
