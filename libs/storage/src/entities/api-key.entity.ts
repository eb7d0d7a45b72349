import { Column, Entity, PrimaryColumn } from "typeorm";

/** A caller's credential. Holds no secret and no user id. */
@Entity({ name: "api_key", schema: "memseal" })
export class ApiKeyEntity {
  @PrimaryColumn({ name: "key_id", type: "text" }) keyId!: string;
  /** HMAC-SHA256(pepper, secret). */
  @Column({ name: "secret_hash", type: "bytea" }) secretHash!: Buffer;
  /** The one user it is bound to. */
  @Column({ name: "user_hash", type: "bytea", nullable: true }) userHash!: Buffer | null;
  @Column({ type: "text" }) namespace!: string;
  @Column({ type: "text", array: true }) scopes!: string[];
  @Column({ name: "created_at", type: "timestamptz", default: () => "now()" }) createdAt!: Date;
  @Column({ name: "expires_at", type: "timestamptz", nullable: true }) expiresAt!: Date | null;
  @Column({ name: "revoked_at", type: "timestamptz", nullable: true }) revokedAt!: Date | null;
  /** Over all of the above; null until the key of an earlier release is sealed. */
  @Column({ type: "bytea", nullable: true }) mac!: Buffer | null;
}
