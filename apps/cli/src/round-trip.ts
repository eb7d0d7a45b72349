import { randomUUID } from "node:crypto";
import { command, FAILED } from "./command.js";
import { connect, CONNECTION_ARGS } from "./connection.js";

/** As many as one search gives: the user's other memories may hold something that is alike. */
const TOP_K = 100;

export const roundTripCommand = command({
  name: "round-trip",
  description: "Write a memory, find it and delete it, through every service. For a user who has it alone",
  args: CONNECTION_ARGS,
  async run(args) {
    const { user } = connect(args, process.env);
    const startMs = performance.now();
    const word = randomUUID();
    const { id } = await user.add({ text: `Round trip ${word}` });
    let rank: number | undefined;
    try {
      rank = (await user.search(word, { topK: TOP_K })).results.find(({ memory }) => memory.id === id)?.rank;
    } finally {
      await user.delete({ ids: [id] });
    }
    const ms = Math.round(performance.now() - startMs);
    if (rank === undefined) return { text: "what was written was not found", json: { found: false, ms }, exitCode: FAILED };
    return { text: `written, found at rank ${rank} and deleted in ${ms} ms`, json: { found: true, rank, ms } };
  },
});
