import { z } from "zod";
import type { Corpus } from "./corpus.js";

// Wadden et al., 2020 (SciFact), in the form of BEIR. Claims CC BY 4.0, abstracts ODC-By 1.0.

const abstract = z.object({ _id: z.string(), title: z.string(), text: z.string() });
const claim = z.object({ _id: z.string(), text: z.string() });
const HEADER = "query-id\tcorpus-id\tscore";

/** The files as text. Claims without a judgement in `qrels` are not asked. */
export function readScifact(files: { corpus: string; queries: string; qrels: string }): Corpus {
  const relevant = relevantOf(files.qrels);
  return {
    name: "scifact",
    documents: lines(files.corpus).map((line) => {
      const { _id: id, title, text } = abstract.parse(JSON.parse(line));
      return { id, text: `${title} ${text}` };
    }),
    questions: lines(files.queries)
      .map((line) => claim.parse(JSON.parse(line)))
      .flatMap(({ _id: id, text }) => {
        const ids = relevant.get(id);
        return ids === undefined ? [] : [{ text, relevant: ids }];
      }),
  };
}

function relevantOf(qrels: string): Map<string, Set<string>> {
  const [header, ...rows] = lines(qrels);
  if (header !== HEADER) throw new Error(`qrels must begin with ${JSON.stringify(HEADER)}`);
  const relevant = new Map<string, Set<string>>();
  for (const row of rows) {
    const [query = "", document = "", score] = row.split("\t");
    if (Number(score) > 0) relevant.set(query, (relevant.get(query) ?? new Set()).add(document));
  }
  return relevant;
}

function lines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}
