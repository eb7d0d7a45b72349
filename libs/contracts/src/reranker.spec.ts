import { InvalidArgumentError } from "@memseal/errors";
import { parseEmbedDocuments, parseEmbedQuery, parseRerank } from "./reranker.js";

const fault = (parse: () => unknown): string | undefined => {
  try {
    parse();
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error.field;
    throw error;
  }
  return undefined;
};

const documents = (text: string, speaker?: string) => ({ documents: [{ text: "ok" }, { text, speaker }] });

describe("reranker messages", () => {
  it("accepts texts at their limits, counted in code points", () => {
    expect(parseEmbedQuery({ text: "😀".repeat(2_000) })).toBe("😀".repeat(2_000));
    expect(parseEmbedDocuments(documents("😀".repeat(50_000), "Ana"))).toEqual([{ text: "ok" }, { text: "😀".repeat(50_000), speaker: "Ana" }]);
    expect(parseRerank({ query: "q", passages: new Array<string>(1_000).fill("p") }).passages).toHaveLength(1_000);
  });

  it("accepts empty lists", () => {
    expect(parseEmbedDocuments({ documents: [] })).toEqual([]);
    expect(parseRerank({ query: "q", passages: [] }).passages).toEqual([]);
  });

  it.each<[string, () => unknown]>([
    ["text", () => parseEmbedQuery({ text: "" })],
    ["text", () => parseEmbedQuery({ text: "x".repeat(2_001) })],
    ["text", () => parseEmbedQuery({ text: "a\0b" })],
    ["documents", () => parseEmbedDocuments({ documents: new Array<{ text: string }>(201).fill({ text: "x" }) })],
    ["documents[1].text", () => parseEmbedDocuments(documents(""))],
    ["documents[1].text", () => parseEmbedDocuments(documents("x".repeat(50_001)))],
    ["documents[1].text", () => parseEmbedDocuments(documents("\ud800"))],
    ["documents[1].speaker", () => parseEmbedDocuments(documents("x", "a\0"))],
    ["documents[1].speaker", () => parseEmbedDocuments(documents("x", "a".repeat(257)))],
    ["query", () => parseRerank({ query: "", passages: ["p"] })],
    ["query", () => parseRerank({ query: "x".repeat(2_001), passages: ["p"] })],
    ["passages", () => parseRerank({ query: "q", passages: new Array<string>(1_001).fill("p") })],
    ["passages[1]", () => parseRerank({ query: "q", passages: ["p", ""] })],
    ["passages[0]", () => parseRerank({ query: "q", passages: ["\udc00"] })],
    ["at_least", () => parseRerank({ query: "q", passages: ["p"], atLeast: 0 })],
  ])("names %s when it is what is wrong", (field, parse) => {
    expect(fault(parse)).toBe(field);
  });
});
