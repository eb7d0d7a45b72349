import { isRunning, readRunFile } from "../runner/run-file.js";
import type { Command } from "./command.js";
import { parseEvidenceDir } from "./evidence-dir.js";

export const status: Command = {
  usage: ["status --evidence DIR"],
  run: (args) => {
    const dir = parseEvidenceDir(args);
    const file = readRunFile(dir);
    if (file === undefined) {
      console.error(`no release was begun with --evidence ${dir}`);
      return 1;
    }
    console.log(JSON.stringify({ ...file, is_running: isRunning(file) }, undefined, 2));
    return 0;
  },
};
