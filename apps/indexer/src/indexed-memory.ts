import { filterableMetadata, speakerOf } from "@memseal/contracts/indexer";
import type { ChunkEmbedding } from "@memseal/crypto";
import type { Fields, IndexedMemory } from "@memseal/retrieval";
import type { SealedMemory } from "@memseal/storage";
import { codePointSlicer } from "./code-points.js";
import type { MemoryContent } from "./sealed-memory.js";

/** An opened memory as the index takes it. */
export function indexedMemory(row: SealedMemory, content: MemoryContent, chunks: readonly ChunkEmbedding[]): IndexedMemory {
  const slice = codePointSlicer(content.text);
  return {
    id: row.id,
    rowVersion: row.rowVersion,
    position: row.position,
    ...fieldsOf(row, content),
    heading: headingOf(content.occurredAt ?? row.createdAt, speakerOf(content)),
    chunks: chunks.map(({ start, end, vector }) => ({ start, end, vector, text: slice(start, end) })),
  };
}

/** By the names that callers use in filters. */
export function fieldsOf({ id, createdAt, updatedAt, expiresAt }: SealedMemory, content: MemoryContent): { fields: Fields; leftOut: readonly string[] } {
  const { key, agentId, runId, role, source, tags, metadata = {}, occurredAt = createdAt } = content;
  const { kept, leftOut } = filterableMetadata(metadata);
  const times = { occurred_at: occurredAt.getTime(), created_at: createdAt.getTime(), updated_at: updatedAt.getTime(), expires_at: expiresAt?.getTime() };
  return { fields: { id, key, agent_id: agentId, run_id: runId, role, source, tags, ...times, metadata: kept }, leftOut };
}

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** `8 May 2023 Maya`: the words of a memory's date and speaker are searched with its text. */
function headingOf(occurredAt: Date, speaker: string | undefined): string {
  return speaker === undefined ? DATE.format(occurredAt) : `${DATE.format(occurredAt)} ${speaker}`;
}
