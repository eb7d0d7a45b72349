import { parseArgs } from "node:util";
import { DATA_SETS, type DataSet } from "./data-sets.js";

export const USAGE = `usage: npm run eval -- [--check] [--data ${DATA_SETS.join("|")}] [--conversations 0,2,4,6] [--questions N] [--json FILE]`;

export interface Options {
  /** Fails where a figure misses what it must reach; takes all data. */
  readonly check: boolean;
  readonly dataSets: readonly DataSet[];
  /** Of LoCoMo, from 0; absent: all. */
  readonly conversations?: readonly number[] | undefined;
  /** So many of each corpus; absent: all. */
  readonly questions?: number | undefined;
  /** Where the figures are written, too. */
  readonly json?: string | undefined;
}

/** @throws Error that says how it is called */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: { check: { type: "boolean", default: false }, data: { type: "string" }, conversations: { type: "string" }, questions: { type: "string" }, json: { type: "string" } },
  });
  const { check, data, conversations, questions, json } = values;
  if (check && (data ?? conversations ?? questions) !== undefined) throw new Error(`--check takes all data\n${USAGE}`);
  return {
    check,
    dataSets: data === undefined ? DATA_SETS : DATA_SETS.filter((one) => one === oneOf(data)),
    conversations: conversations?.split(",").map((number) => wholeNumber("--conversations", number)),
    questions: questions === undefined ? undefined : wholeNumber("--questions", questions),
    json,
  };
}

function oneOf(data: string): DataSet {
  const known = DATA_SETS.find((one) => one === data);
  if (known === undefined) throw new Error(`--data ${data} is not known\n${USAGE}`);
  return known;
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new Error(`${option} takes whole numbers\n${USAGE}`);
  return Number(text);
}
