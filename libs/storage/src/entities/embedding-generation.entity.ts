import { Column, Entity, PrimaryColumn } from "typeorm";
import { UserHashColumn } from "./columns.js";

/** Which model made the vectors of a tenant's chunks. */
@Entity({ name: "embedding_generation", schema: "memseal" })
export class EmbeddingGenerationEntity {
  @UserHashColumn() userHash!: Buffer;
  @PrimaryColumn({ type: "integer" }) generation!: number;
  /** Empty while every vector came from the caller. */
  @Column({ type: "text" }) model!: string;
  @Column({ type: "integer" }) dimension!: number;
  /** How texts are cut into chunks. */
  @Column({ type: "text" }) chunker!: string;
  @Column({ type: "text" }) state!: "building" | "active" | "retired";
}
