import { readLocomo } from "./locomo.js";

const sample = {
  sample_id: "conv-1",
  conversation: {
    speaker_a: "Ann",
    speaker_b: "Ben",
    session_10: [{ speaker: "Ben", dia_id: "D10:1", text: "Bye." }],
    session_10_date_time: "12:05 am on 1 January, 2024",
    session_2: [{ speaker: "Ann", dia_id: "D2:1", text: "Hi.", img_url: ["x"] }, { speaker: "Ben", dia_id: "D2:2", text: "Hello." }],
    session_2_date_time: "1:56 pm on 8 May, 2023",
    // Has a time and no turns, as some have.
    session_11_date_time: "1:56 pm on 8 May, 2024",
  },
  qa: [
    { question: "who?", answer: 2022, evidence: ["D2:1; D10:1", "D2:2,D2:1"], category: 1 },
    { question: "which?", answer: "a", evidence: ["D2:1 D99:1", "D"], category: 4 },
    { question: "trick?", evidence: ["D2:1"], category: 5 },
    { question: "lost?", answer: "b", evidence: ["D30:05"], category: 2 },
    { question: "none?", answer: "c", evidence: [], category: 3 },
  ],
};

describe("readLocomo", () => {
  it("makes a document of each turn, session after session, with its speaker and time", () => {
    const [{ name, documents }] = readLocomo([sample]);
    expect(name).toBe("conv-1");
    expect(documents).toEqual([
      { id: "D2:1", text: "Hi.", turn: { speaker: "Ann", session: "session_2", occurredAt: new Date("2023-05-08T13:56:00Z") } },
      { id: "D2:2", text: "Hello.", turn: { speaker: "Ben", session: "session_2", occurredAt: new Date("2023-05-08T13:56:00Z") } },
      { id: "D10:1", text: "Bye.", turn: { speaker: "Ben", session: "session_10", occurredAt: new Date("2024-01-01T00:05:00Z") } },
    ]);
  });

  it("reads evidence strings that hold several ids, and leaves out what names no turn", () => {
    const [{ questions }] = readLocomo([sample]);
    expect(questions).toEqual([
      { text: "who?", relevant: new Set(["D2:1", "D10:1", "D2:2"]) },
      { text: "which?", relevant: new Set(["D2:1"]) },
    ]);
  });

  it("refuses a session whose time it cannot read", () => {
    const conversation = { ...sample.conversation, session_2_date_time: "in May" };
    expect(() => readLocomo([{ ...sample, conversation }])).toThrow("not the time of a session: in May");
  });
});
