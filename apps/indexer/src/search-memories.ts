import type { Candidate, IndexerSearchQuery } from "@memseal/contracts/indexer";
import { OpenError, type UserHash } from "@memseal/crypto";
import type { TenantKeys } from "@memseal/keys";
import { metadataFieldsOf, type Hit } from "@memseal/retrieval";
import type { MemoryStore, SealedMemory, TenantDatabase } from "@memseal/storage";
import { codePointSlicer } from "./code-points.js";
import { openMemory, toMessage, type TenantSeal } from "./sealed-memory.js";
import type { TenantCache } from "./tenant-cache.js";

export interface SearchOutcome {
  candidates: Candidate[];
  totalMatching: number;
  integrityFailures: number;
  unknownFields: string[];
}

/** The read path: catch up, search in memory, open the best. */
export class SearchMemories {
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly cache: TenantCache,
    private readonly keys: TenantKeys,
  ) {}

  async search(tenant: UserHash, { query, vector, filter, candidates: wanted }: IndexerSearchQuery): Promise<SearchOutcome> {
    const found = await this.cache.use(tenant, ({ index, damaged }) => ({
      // Twice as many: a memory that changes before it is opened makes room for the next.
      ...index.search({ query, vector, filter, limit: wanted * 2 }),
      damaged: new Set(damaged),
    }));
    if (found === undefined) return { candidates: [], totalMatching: 0, integrityFailures: 0, unknownFields: metadataFieldsOf(filter).map((path) => path.join(".")) };
    const { hits, totalMatching, unknownFields, damaged } = found;
    const candidates: Candidate[] = [];
    for (let next = 0; next < hits.length && candidates.length < wanted;) {
      const batch = hits.slice(next, next + wanted - candidates.length);
      next += batch.length;
      const rows = await this.database.withTenant(tenant, (tx) => this.store.readMemories(tx, batch.map(({ memoryId }) => memoryId)));
      const rowOf = new Map(rows.map((row) => [row.id, row]));
      for (const hit of batch) {
        const row = rowOf.get(hit.memoryId);
        // Deleted or updated since: a concurrent change, not damage.
        if (row?.rowVersion !== hit.rowVersion) continue;
        const { keyring } = await this.keys.get(tenant, row.epoch);
        try {
          candidates.push(openCandidate(row, hit, { tenant, keyring }));
        } catch (error) {
          if (!(error instanceof OpenError)) throw error;
          damaged.add(hit.memoryId);
        }
      }
    }
    return { candidates, totalMatching, integrityFailures: damaged.size, unknownFields };
  }
}

function openCandidate(row: SealedMemory, hit: Hit, seal: TenantSeal): Candidate {
  const content = openMemory(row, seal);
  return {
    memory: toMessage(row, content),
    passage: { index: hit.chunkNo, start: hit.start, end: hit.end, text: codePointSlicer(content.text)(hit.start, hit.end) },
    scores: {
      similarity: hit.similarity,
      similarityRank: hit.similarityRank,
      bm25: hit.bm25,
      bm25Rank: hit.bm25Rank,
      fused: hit.fused,
    },
  };
}
