import { encodeVector, type ChunkVector } from "@memseal/contracts/indexer";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import type { EmbeddingGeneration, TenantStore, TenantTransaction } from "@memseal/storage";
import { WriteConflict } from "./tenant-writes.js";

/** Vectors that come with a call: of one model, or of callers' own making (""), all of one dimension. */
export interface GivenVectors {
  readonly model: string;
  readonly dimension: number;
}

type TenantEmbedding = Pick<EmbeddingGeneration, "model" | "dimension">;

/** Vectors of two models have no common meaning, nor have those of two lengths. A caller's own vectors are the caller's business. */
export function isSameEmbedding(given: GivenVectors, tenant: TenantEmbedding): boolean {
  return given.dimension === tenant.dimension && (given.model === "" || tenant.model === "" || given.model === tenant.model);
}

/** Why a write with these vectors is refused. ownVector: the field by which the caller sent the first of them. */
export function embeddingMismatch({ model, dimension }: GivenVectors, tenant: TenantEmbedding, ownVector: string): AppError {
  if (model === "") return new InvalidArgumentError(ownVector, `must have ${tenant.dimension} values, as this user's other vectors have`);
  const theirs = tenant.model === "" ? `are the callers' own, of ${tenant.dimension} values` : `were made by ${tenant.model}, of ${tenant.dimension} values`;
  const remedy = tenant.model === "" ? "send a vector with each memory" : `run the embedder with ${tenant.model} again`;
  return new AppError(
    "already_exists",
    `this user's vectors ${theirs}, and the embedder now runs ${model}, of ${dimension}: ${remedy}, or delete all of this user's memories and add them anew`,
  );
}

/** The first model that embeds for a tenant of callers' own vectors is its model from then on. @throws WriteConflict where another one was first */
export async function claimModel(tx: TenantTransaction, tenants: TenantStore, { model }: Pick<GivenVectors, "model">, { generation, model: known }: EmbeddingGeneration): Promise<void> {
  if (model === "" || model === known) return;
  if (!(await tenants.nameModel(tx, { generation, model }))) throw new WriteConflict();
}

/** What of a memory's vectors makes a write this request: a caller's own say more than the text, those of the embedder do not. */
export function requestOf(chunks: readonly ChunkVector[], { hasOwnVector }: { hasOwnVector: boolean }): unknown[] {
  return hasOwnVector ? chunks.map(({ start, end, vector }) => [start, end, encodeVector(vector).toString("base64")]) : [];
}
