import type { Candidate, IndexerSearchQuery } from "@memseal/contracts/indexer";
import { OpenError, type UserHash } from "@memseal/crypto";
import type { TenantKeys } from "@memseal/keys";
import { metadataFieldsOf, type Hit } from "@memseal/retrieval";
import type { CallEnd, MemoryStore, SealedMemory, TenantDatabase } from "@memseal/storage";
import { bytesOf, CANDIDATES_BYTES } from "./answer-bytes.js";
import { codePointSlicer } from "./code-points.js";
import type { DamagedRow, IntegrityFailures } from "./integrity-failures.js";
import { openMemory, toMessage, type TenantSeal } from "./sealed-memory.js";
import type { TenantCache } from "./tenant-cache.js";
import { isSameEmbedding } from "./tenant-embedding.js";

export interface SearchOutcome {
  candidates: Candidate[];
  totalMatching: number;
  integrityFailures: number;
  unknownFields: string[];
  /** Another model made the query's vector than the tenant's: words alone ranked. */
  modelMismatch: boolean;
}

/** The read path: catch up, search in memory, open the best. */
export class SearchMemories {
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly cache: TenantCache,
    private readonly keys: TenantKeys,
    private readonly damage: IntegrityFailures,
  ) {}

  /** end: of the call. @throws as TenantCache.use and TenantIndex.search */
  async search(tenant: UserHash, { candidates: wanted, vector, model, asOf, ...query }: IndexerSearchQuery, end?: CallEnd): Promise<SearchOutcome> {
    const found = await this.cache.use(tenant, ({ index, damaged, model: tenantModel }, now) => {
      // The index refuses a caller's own vector of another dimension; one of the embedder's is no fault of the caller's.
      const modelMismatch = vector !== undefined && model !== undefined && !isSameEmbedding({ model, dimension: vector.length }, { model: tenantModel, dimension: index.dimension });
      return {
        // Twice as many: a memory that changes before it is opened makes room for the next.
        ...index.search({ ...query, vector: modelMismatch ? undefined : vector, limit: wanted * 2, now, asOf: asOf?.getTime() }),
        damagedIds: new Set(damaged.keys()),
        modelMismatch,
      };
    }, end);
    if (found === undefined) {
      return { candidates: [], totalMatching: 0, integrityFailures: 0, unknownFields: metadataFieldsOf(query.filter).map((path) => path.join(".")), modelMismatch: false };
    }
    const { hits, totalMatching, unknownFields, damagedIds, modelMismatch } = found;
    const candidates: Candidate[] = [];
    const room = { bytes: CANDIDATES_BYTES };
    for (let next = 0; next < hits.length && candidates.length < wanted && room.bytes > 0;) {
      const batch = hits.slice(next, next + wanted - candidates.length);
      next += batch.length;
      const { opened, damaged } = await this.#open(tenant, batch, { room, end });
      candidates.push(...opened);
      for (const { id } of damaged) damagedIds.add(id);
    }
    return { candidates, totalMatching, integrityFailures: damagedIds.size, unknownFields, modelMismatch };
  }

  /** Those of the hits that are still what the index knows, opened, the best first while there is room. */
  async #open(tenant: UserHash, hits: readonly Hit[], { room, end }: { room: { bytes: number }; end: CallEnd | undefined }): Promise<{ opened: Candidate[]; damaged: DamagedRow[] }> {
    const rows = await this.store.readMemories(this.database.until(end).statementsOf(tenant), hits.map(({ memoryId }) => memoryId));
    const rowOf = new Map(rows.map((row) => [row.id, row]));
    const opened: Candidate[] = [];
    const damaged: SealedMemory[] = [];
    for (const hit of hits) {
      const row = rowOf.get(hit.memoryId);
      // Deleted or updated since: a concurrent change, not damage.
      if (row?.rowVersion !== hit.rowVersion) continue;
      const { keyring } = await this.keys.get(tenant, row.epoch);
      try {
        const candidate = openCandidate(row, hit, { tenant, keyring });
        room.bytes -= bytesOf(row) + Buffer.byteLength(candidate.passage?.text ?? "");
        if (room.bytes < 0) break;
        opened.push(candidate);
      } catch (error) {
        if (!(error instanceof OpenError)) throw error;
        damaged.push(row);
      }
    }
    for (const row of damaged) this.damage.report(tenant, row.epoch, [row]);
    return { opened, damaged };
  }
}

function openCandidate(row: SealedMemory, hit: Hit, seal: TenantSeal): Candidate {
  const content = openMemory(row, seal);
  const { chunkNo, start, end, similarity, similarityRank, bm25, bm25Rank, context, decay, fused } = hit;
  return {
    memory: toMessage(row, content),
    passage: { index: chunkNo, start, end, text: codePointSlicer(content.text)(start, end) },
    scores: { similarity, similarityRank, bm25, bm25Rank, context, decay, fused },
  };
}
