import { SentenceEnds } from "./sentence-ends.js";

/** A text cut after each boundary: words, marks and the spaces between them as the tokenizer gives them. */
function sentencesOf(text: string): string[] {
  const ends = new SentenceEnds();
  const sentences = [""];
  let separators = "";
  for (const [token] of text.matchAll(/\s+|\p{P}|[^\p{P}\s]+/gu)) {
    if (/^\s/.test(token)) separators = token;
    else {
      const boundary = sentences.length === 1 && sentences[0] === "" ? "none" : ends.before(token, separators);
      if (boundary !== "none") sentences.push(boundary === "paragraph" ? `¶${token}` : token);
      else sentences.push(`${sentences.pop() ?? ""}${separators}${token}`);
      ends.read(token);
      separators = "";
    }
  }
  return sentences;
}

describe("SentenceEnds", () => {
  it.each([
    ["after marks, with what closes them", "I moved. Why? \"Because!\" (It was time.) And so on", ["I moved.", "Why?", "\"Because!\"", "(It was time.)", "And so on"]],
    ["not where the sentence goes on in small letters", "She said \"no!\" and left. etc. and more", ["She said \"no!\" and left. etc. and more"]],
    ["not within a number, a name or an address", "Version 1.2 of a.b.c costs 3.50 at x.com now. Fine", ["Version 1.2 of a.b.c costs 3.50 at x.com now.", "Fine"]],
    ["not after an initial or the number of an item", "J. R. Doe came. 1. Tea 2. Milk", ["J. R. Doe came.", "1. Tea 2. Milk"]],
    ["after the marks of scripts without spaces", "私は行く。彼も。「はい！」と", ["私は行く。", "彼も。", "「はい！」", "と"]],
    ["after each line, and paragraphs after empty ones", "one\ntwo\r\nthree\n\nfour\n \nfive", ["one", "two", "three", "¶four", "¶five"]],
    ["once for any number of marks", "What?! Yes... No", ["What?!", "Yes...", "No"]],
  ])("end %s", (_name, text, sentences) => {
    expect(sentencesOf(text)).toEqual(sentences);
  });
});
