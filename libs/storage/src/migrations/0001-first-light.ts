import type { QueryRunner } from "typeorm";
import { ROLES } from "../roles.js";
import { createKeyLookup, dropKeyLookup } from "./key-lookup.js";
import { isolateTenants } from "./row-security.js";
import { recordSchema, type SchemaMigration } from "./schema-migration.js";

/** Tables that hold rows of tenants; each is under forced row security. */
const TENANT_TABLES = ["tenant", "tenant_key", "memory", "chunk", "memory_tombstone", "embedding_generation"];

/** Every key starts with the tenant: a key without it would tell by its errors what other tenants hold. */
const TABLES = `
  CREATE TABLE memseal.schema_version (
    number integer PRIMARY KEY,
    min_service integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  );

  CREATE TABLE memseal.tenant (
    user_hash bytea PRIMARY KEY CHECK (octet_length(user_hash) = 32),
    seq bigint NOT NULL DEFAULT 0,
    epoch integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'erasing', 'erased')),
    generation integer NOT NULL DEFAULT 1,
    tombstone_floor bigint NOT NULL DEFAULT 0,
    memory_count bigint NOT NULL DEFAULT 0 CHECK (memory_count >= 0),
    byte_count bigint NOT NULL DEFAULT 0 CHECK (byte_count >= 0),
    next_due_at timestamptz
  );

  CREATE TABLE memseal.tenant_key (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    purpose text NOT NULL CHECK (purpose IN ('seal', 'reference')),
    version integer NOT NULL,
    kid bytea NOT NULL CHECK (octet_length(kid) = 16),
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    provider text NOT NULL,
    root_key_id text NOT NULL,
    wrapped bytea NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'active', 'decrypt_only', 'disabled', 'destroyed')),
    seals_reserved bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_hash, purpose, version)
  );

  CREATE TABLE memseal.memory (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    id uuid NOT NULL,
    seq bigint NOT NULL,
    row_version integer NOT NULL,
    key_ref bytea,
    content_ref bytea,
    run_ref bytea,
    position integer,
    text_cipher bytea NOT NULL,
    meta_cipher bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (user_hash, id)
  );
  CREATE INDEX memory_seq ON memseal.memory (user_hash, seq);

  CREATE TABLE memseal.chunk (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    generation integer NOT NULL,
    memory_id uuid NOT NULL,
    chunk_no integer NOT NULL,
    seq bigint NOT NULL,
    row_version integer NOT NULL,
    emb_cipher bytea NOT NULL,
    PRIMARY KEY (user_hash, generation, memory_id, chunk_no)
  );
  CREATE INDEX chunk_seq ON memseal.chunk (user_hash, generation, seq);

  CREATE TABLE memseal.memory_tombstone (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    id uuid NOT NULL,
    seq bigint NOT NULL,
    deleted_at timestamptz NOT NULL,
    PRIMARY KEY (user_hash, id)
  );
  CREATE INDEX memory_tombstone_seq ON memseal.memory_tombstone (user_hash, seq);

  CREATE TABLE memseal.embedding_generation (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    generation integer NOT NULL,
    model text NOT NULL,
    dimension integer NOT NULL CHECK (dimension > 0),
    chunker text NOT NULL,
    state text NOT NULL CHECK (state IN ('building', 'active', 'retired')),
    PRIMARY KEY (user_hash, generation)
  );

  CREATE TABLE memseal.api_key (
    key_id text PRIMARY KEY,
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    user_hash bytea CHECK (octet_length(user_hash) = 32),
    namespace text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
  );
`;

/** No more than each role does today. */
const GRANTS = `
  GRANT USAGE ON SCHEMA memseal TO ${ROLES.app}, ${ROLES.auth}, ${ROLES.keys};
  GRANT SELECT ON memseal.schema_version TO ${ROLES.app};
  GRANT SELECT, INSERT, UPDATE ON memseal.tenant TO ${ROLES.app};
  GRANT SELECT, INSERT ON memseal.tenant_key TO ${ROLES.app};
  GRANT SELECT, INSERT, DELETE ON memseal.memory, memseal.chunk TO ${ROLES.app};
  GRANT SELECT, INSERT ON memseal.memory_tombstone TO ${ROLES.app};
  GRANT SELECT, INSERT, UPDATE ON memseal.embedding_generation TO ${ROLES.app};
  GRANT SELECT, INSERT, UPDATE ON memseal.api_key TO ${ROLES.keys};
`;

export class FirstLight0001000000000 implements SchemaMigration {
  readonly number = 1;
  readonly minService = 1;
  readonly drops = [...TENANT_TABLES, "api_key"];

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
    await isolateTenants(runner, TENANT_TABLES);
    await runner.query("ALTER TABLE memseal.api_key ENABLE ROW LEVEL SECURITY");
    await runner.query("ALTER TABLE memseal.api_key FORCE ROW LEVEL SECURITY");
    await runner.query(`CREATE POLICY key_administration ON memseal.api_key TO ${ROLES.keys} USING (true) WITH CHECK (true)`);
    await runner.query(GRANTS);
    await createKeyLookup(runner);
    await recordSchema(runner, this);
  }

  async down(runner: QueryRunner): Promise<void> {
    await dropKeyLookup(runner);
    for (const table of [...this.drops, "schema_version"]) await runner.query(`DROP TABLE memseal.${table}`);
    await runner.query(`REVOKE ALL ON SCHEMA memseal FROM ${ROLES.app}, ${ROLES.auth}, ${ROLES.keys}`);
  }
}
