import { Column, Entity, PrimaryColumn } from "typeorm";

/** A version of the root key that a rotation knows of. Of no tenant, and never the key. */
@Entity({ name: "root_key", schema: "memseal" })
export class RootKeyEntity {
  /** From 1. */
  @PrimaryColumn({ type: "integer" }) version!: number;
  @Column({ type: "text" }) provider!: string;
  @Column({ name: "root_key_id", type: "text" }) rootKeyId!: string;
  @Column({ name: "created_at", type: "timestamptz" }) createdAt!: Date;
  /** When every tenant key there was had been wrapped by it. */
  @Column({ name: "rotated_at", type: "timestamptz", nullable: true }) rotatedAt!: Date | null;
  @Column({ name: "destroyed_at", type: "timestamptz", nullable: true }) destroyedAt!: Date | null;
}
