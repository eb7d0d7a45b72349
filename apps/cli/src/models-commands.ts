import { parseConfig } from "@memseal/config";
import { knownModel, pullModel, verifyModels } from "@memseal/inference/models";
import { command, FAILED, group } from "./command.js";
import { cliConfig, modelsDir } from "./config.js";
import { ProgressBar, table } from "./terminal.js";

const HUB = "https://huggingface.co";

export const modelsCommand = group("models", "The models that embed and rerank", {
  verify: command({
    name: "models verify",
    description: "Hash every file of the models that ship and of those that were pulled; exit code 1 where one is not as it must be",
    args: {},
    async run() {
      const files = await verifyModels(modelsDir(parseConfig(cliConfig, process.env)));
      return {
        text: table([["model", "state", "file"], ...files.map(({ model, state, path }) => [model, state, path])]),
        json: files,
        exitCode: files.every(({ state }) => state === "ok") ? 0 : FAILED,
      };
    },
  }),
  pull: command({
    name: "models pull",
    description: "Fetch a model of the registry at its pinned revision, checked by its hashes; what was cut short is gone on with",
    args: {
      model: { type: "positional", valueHint: "name", required: true, description: "As in the registry" },
      hub: { type: "string", valueHint: "address", description: `Where from; else MEMSEAL_MODEL_HUB, or ${HUB}` },
    },
    async run({ model: name, hub }) {
      const config = parseConfig(cliConfig, process.env);
      const known = await knownModel(name);
      const bars = new Map<string, ProgressBar>();
      const isNew = await pullModel(known, {
        modelsDir: modelsDir(config),
        hub: hub ?? config.MEMSEAL_MODEL_HUB ?? HUB,
        onProgress: ({ file, bytes, of }) => {
          const bar = bars.get(file) ?? new ProgressBar(process.stderr, `bytes of ${file}`, of, bytes);
          bars.set(file, bar);
          bar.show(bytes);
          if (bytes === of) bar.end();
        },
      });
      return { text: isNew ? `pulled ${name}` : `${name} is there already`, json: { model: name, pulled: isNew } };
    },
  }),
});
