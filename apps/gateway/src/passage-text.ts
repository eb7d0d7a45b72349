import { fromTimestamp, type Memory } from "@memseal/contracts";

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** Who a memory speaks as, to the models: the role, or where there is none the source. */
export function speakerOf({ role, source }: Pick<Memory, "role" | "source">): string | undefined {
  return role ?? source;
}

/** What the cross-encoder reads: `[8 May 2023] speaker: text`, the form its quality was measured with. */
export function passageText(memory: Memory, text: string): string {
  const date = memory.occurredAt === undefined ? "" : `[${DAY.format(fromTimestamp(memory.occurredAt, "occurred_at"))}] `;
  const speaker = speakerOf(memory);
  return `${date}${speaker === undefined ? "" : `${speaker}: `}${text}`;
}
