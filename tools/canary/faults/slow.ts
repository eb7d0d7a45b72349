// A gateway whose every search takes 400 ms more.
import { setTimeout as delay } from "node:timers/promises";
import { rehearse, wrap } from "./rehearse.js";

type Search = (this: object, ...args: unknown[]) => Promise<unknown>;

const DELAY_MS = 400;

await rehearse(async (app, hasBegun) => {
  const { IndexerClient } = await app.module<{ IndexerClient: { prototype: { search: Search } } }>("./indexer-client.js");
  wrap(IndexerClient, "search", (search) => async function (...args) {
    if (hasBegun()) await delay(DELAY_MS);
    return search.apply(this, args);
  });
});
