// Loaded into a gateway before its own code: the name `rerankers.test` has several addresses there, as that of a headless service has.
import { promises } from "node:dns";

const { lookup } = promises;
const found = ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 }));
promises.lookup = (name, options) => (name === "rerankers.test" ? Promise.resolve(found) : lookup(name, options));
