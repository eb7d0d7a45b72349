import { command, group } from "./command.js";
import { keys } from "./keys.js";

export const keysCommand = group("keys", "API keys, made as the database's owner on its machine", {
  create: command({
    name: "keys create",
    description: "A new API key for one user; it is shown this once",
    args: {
      user: { type: "string", valueHint: "id", required: true, description: "Whose memories it opens" },
      scopes: { type: "string", valueHint: "read,write", description: "What it may do; else read,write" },
    },
    async run({ user, scopes }) {
      const key = await keys(["create", "--user", user, ...(scopes === undefined ? [] : ["--scopes", scopes])], process.env);
      return { text: key, json: { key } };
    },
  }),
});
