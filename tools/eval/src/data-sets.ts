import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Corpus } from "./corpus.js";
import { readLocomo } from "./locomo.js";
import { readScifact } from "./scifact.js";

export const DATA_SETS = ["locomo", "scifact"] as const;
export type DataSet = (typeof DATA_SETS)[number];

const FILES: Readonly<Record<DataSet, readonly string[]>> = {
  locomo: ["locomo/locomo10.json"],
  scifact: ["scifact/corpus.jsonl", "scifact/queries.jsonl", "scifact/qrels/test.tsv"],
};

/** Reads a data set below `dir`. @throws Error where a file is not there */
export function readDataSet(dataSet: DataSet, dir: string): Corpus[] {
  const [first, ...others] = FILES[dataSet].map((file) => {
    const path = join(dir, file);
    if (!existsSync(path)) throw new Error(`${path} is not there: MEMSEAL_EVAL_DATA names the folder of ${Object.values(FILES).flat().join(", ")}`);
    return readFileSync(path, "utf8");
  });
  switch (dataSet) {
    case "locomo":
      return readLocomo(JSON.parse(first));
    case "scifact":
      return [readScifact({ corpus: first, queries: others[0], qrels: others[1] })];
  }
}
