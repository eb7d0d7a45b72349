import { encodeVector, type ChunkVector } from "@memseal/contracts/indexer";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import type { EmbeddingGeneration, TenantStore, TenantTransaction } from "@memseal/storage";
import { WriteConflict } from "./tenant-writes.js";

/** Vectors that come with a write: of one model, or of callers' own making (""), all of one dimension. */
export interface GivenVectors {
  readonly model: string;
  readonly dimension: number;
}

/**
 * Vectors of two models have no common meaning, nor have those of two lengths. A caller's own vectors are the caller's business.
 * @throws AppError failed_precondition for another model than the tenant's; InvalidArgumentError for another dimension
 */
export function assertSameEmbedding({ model, dimension }: GivenVectors, tenant: EmbeddingGeneration): void {
  if (model !== "" && tenant.model !== "" && model !== tenant.model) {
    throw new AppError("failed_precondition", `this tenant's memories are embedded with ${tenant.model}, the embedder now runs ${model}`);
  }
  if (dimension !== tenant.dimension) {
    throw new InvalidArgumentError("memories", `their vectors have ${dimension} values, this user's other vectors have ${tenant.dimension}: all must come from one model`);
  }
}

/** The first model that embeds for a tenant of callers' own vectors is its model from then on. @throws WriteConflict where another one was first */
export async function claimModel(tx: TenantTransaction, tenants: TenantStore, { model }: Pick<GivenVectors, "model">, { generation, model: known }: EmbeddingGeneration): Promise<void> {
  if (model === "" || model === known) return;
  if (!(await tenants.nameModel(tx, { generation, model }))) throw new WriteConflict();
}

/** What of a write's vectors makes it this request: those of the embedder say no more than the text, a caller's own do. */
export function requestOf(chunks: readonly ChunkVector[], model: string): unknown[] {
  return model === "" ? chunks.map(({ start, end, vector }) => [start, end, encodeVector(vector).toString("base64")]) : [];
}
