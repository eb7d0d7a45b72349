import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../../deploy/docker/", import.meta.url));

/** `COPY --from=packed /a /b`: its word, its flags and the rest. */
export interface Instruction {
  readonly word: string;
  readonly flags: readonly string[];
  readonly rest: string;
}

export interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** A Dockerfile of deploy/docker by its stages. */
export interface Dockerfile {
  /** The app whose pack is its context. */
  readonly app: string;
  readonly name: string;
  readonly text: string;
  readonly stages: readonly Stage[];
}

export function readDockerfiles(): Dockerfile[] {
  return readdirSync(FOLDER).filter((name) => name.endsWith(".Dockerfile")).map((name) => {
    const text = readFileSync(join(FOLDER, name), "utf8");
    return { app: name.replace(/(-cuda)?\.Dockerfile$/, ""), name, text, stages: stagesOf(text) };
  });
}

function stagesOf(text: string): Stage[] {
  const variables = new Map<string, string>();
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const { word, flags, rest } of instructionsOf(text)) {
    if (word === "FROM") {
      const [base = "", , name] = rest.split(/\s+/);
      stages.push({ base: base.replace(/^\$\{(\w+)\}$/, (_, variable: string) => variables.get(variable) ?? ""), name, instructions: [] });
    } else if (stages.length === 0 && word === "ARG") {
      const [variable = "", value = ""] = rest.split("=");
      variables.set(variable, value);
    } else {
      stages.at(-1)?.instructions.push({ word, flags, rest });
    }
  }
  return stages;
}

function instructionsOf(text: string): Instruction[] {
  const lines = text.split("\n").filter((line) => !/^\s*(#|$)/.test(line)).join("\n").replaceAll(/\\\n\s*/g, " ").split("\n");
  return lines.map((line) => {
    const [word = "", ...parts] = line.trim().split(/\s+/);
    const flags = parts.filter((part) => part.startsWith("--") && parts.slice(0, parts.indexOf(part)).every((before) => before.startsWith("--")));
    return { word: word.toUpperCase(), flags, rest: parts.slice(flags.length).join(" ") };
  });
}
