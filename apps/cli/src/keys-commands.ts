import { auditKeys, createKey, listKeys, revokeKey, vouchForKeys } from "./api-keys.js";
import { command, group } from "./command.js";
import { destroyRoot, listRoots, rotateRoot } from "./root-keys.js";
import { createToken } from "./token.js";

export const keysCommand = group("keys", "API keys, made, shown and revoked as the database's owner, never over the network", {
  create: command({
    name: "keys create",
    description: "A new API key, for one user or to be exchanged for tokens; it is shown this once",
    args: {
      user: { type: "string", valueHint: "id", description: "Whose memories it opens" },
      delegate: { type: "boolean", description: "In place of --user: a key that is exchanged for tokens of any user" },
      namespace: { type: "string", valueHint: "name", description: "Which issuer's user ids are meant; else default" },
      scopes: { type: "string", valueHint: "read,write", description: "What it may do; else read,write" },
      days: { type: "string", valueHint: "n", description: "How long; else until it is revoked" },
    },
    run: (args) => createKey(args, process.env),
  }),
  list: command({ name: "keys list", description: "Every API key, without secrets and users", args: {}, run: () => listKeys(process.env) }),
  revoke: command({
    name: "keys revoke",
    description: "End a key within 30 s",
    args: { id: { type: "positional", valueHint: "key id", required: true, description: "As `keys list` shows it" } },
    run: ({ id }) => revokeKey(id, process.env),
  }),
  vouch: command({
    name: "keys vouch",
    description: "Vouch for keys that a release before schema 3 made, as `keys list` shows them; until then they are refused",
    args: {
      id: { type: "positional", valueHint: "key id", required: false, description: "As `keys list` shows it" },
      all: { type: "boolean", description: "In place of an id: every key that has no MAC" },
    },
    run: (args) => vouchForKeys(args, process.env),
  }),
  audit: command({ name: "keys audit", description: "What was done to API keys; exit code 1 where that record was altered", args: {}, run: () => auditKeys(process.env) }),
  roots: command({ name: "keys roots", description: "Every version of the root key, and until when it was", args: {}, run: () => listRoots(process.env) }),
  "rotate-root": command({
    name: "keys rotate-root",
    description: "A new version of the root key, which every user's keys are wrapped by; run again, it goes on where it ended",
    args: {
      prepare: { type: "boolean", description: "Make the version and wrap nothing by it yet: to copy it to the other machines first" },
      resume: { type: "boolean", description: "Make none, and wrap by the newest what is not yet" },
    },
    run: (args) => rotateRoot(args, process.env),
  }),
  "destroy-root": command({
    name: "keys destroy-root",
    description: "Destroy a version of the root key for good, once nothing is wrapped by it and no backup is to be restored with it",
    args: { version: { type: "positional", valueHint: "version", required: true, description: "As `keys roots` shows it" } },
    run: ({ version }) => destroyRoot(version, process.env),
  }),
});

export const tokenCommand = command({
  name: "token",
  description: "Exchange the delegate key in MEMSEAL_API_KEY for a token of one user",
  args: {
    user: { type: "string", valueHint: "id", required: true, description: "Whose memories it opens" },
    scopes: { type: "string", valueHint: "read,write", description: "What it may do; else read,write" },
    ttl: { type: "string", valueHint: "seconds", description: "1 to 900; else 900" },
    url: { type: "string", valueHint: "address", description: "Of the gateway; else MEMSEAL_URL, or this machine" },
  },
  run: (args) => createToken(args, process.env),
});
