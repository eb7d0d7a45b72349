import { readScifact } from "./scifact.js";

const files = {
  corpus: '{"_id": "7", "title": "Cells.", "text": "They divide.", "metadata": {}}\n{"_id": "8", "title": "Bones", "text": "They heal."}\n',
  queries: '{"_id": "1", "text": "Cells divide.", "metadata": {}}\n{"_id": "2", "text": "Not judged."}\n{"_id": "3", "text": "Judged irrelevant."}\n',
  qrels: "query-id\tcorpus-id\tscore\n1\t7\t1\n1\t8\t1\n3\t8\t0\n",
};

describe("readScifact", () => {
  it("joins title and text, and asks the claims that have a relevant abstract", () => {
    expect(readScifact(files)).toEqual({
      name: "scifact",
      documents: [{ id: "7", text: "Cells. They divide." }, { id: "8", text: "Bones They heal." }],
      questions: [{ text: "Cells divide.", relevant: new Set(["7", "8"]) }],
    });
  });

  it("refuses judgements of another form", () => {
    expect(() => readScifact({ ...files, qrels: "1 0 7 1\n" })).toThrow("qrels must begin with");
  });
});
