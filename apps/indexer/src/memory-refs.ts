import type { ReferenceKey } from "@memseal/crypto";
import { canonicalJson } from "./canonical-json.js";
import type { MemoryContent } from "./sealed-memory.js";

/** What a memory is found by without opening it. */
export interface ContentRefs {
  readonly keyRef: Buffer | undefined;
  /** Equal for exact duplicates, whoever made their vectors; none for the messages of a conversation, where saying a thing twice means something. */
  readonly contentRef: Buffer | undefined;
  readonly runRef: Buffer | undefined;
}

export function refsOfContent(content: MemoryContent, references: ReferenceKey): ContentRefs {
  const { key, runId } = content;
  return {
    keyRef: key === undefined ? undefined : references.reference("key", key),
    contentRef: key === undefined && runId !== undefined ? undefined : references.reference("content", canonicalJson({ ...content, hasOwnVector: undefined })),
    runRef: runId === undefined ? undefined : references.reference("run", runId),
  };
}
