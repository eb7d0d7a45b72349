import type { QueryRunner } from "typeorm";
import { ROLES } from "../roles.js";
import { isolateTenants } from "./row-security.js";
import { recordSchema, type SchemaMigration } from "./schema-migration.js";

const TENANT_TABLES = ["memory_version", "idempotency", "audit_event"];

const TABLES = `
  CREATE TABLE memseal.memory_version (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    memory_id uuid NOT NULL,
    row_version integer NOT NULL,
    event text NOT NULL CHECK (event IN ('create', 'update')),
    text_cipher bytea NOT NULL,
    meta_cipher bytea NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (user_hash, memory_id, row_version)
  );

  CREATE TABLE memseal.idempotency (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    key_ref bytea NOT NULL CHECK (octet_length(key_ref) = 32),
    request_ref bytea NOT NULL CHECK (octet_length(request_ref) = 32),
    sealed_response bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_hash, key_ref)
  );
  CREATE INDEX idempotency_expires_at ON memseal.idempotency (user_hash, expires_at);

  CREATE TABLE memseal.audit_event (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    n bigint NOT NULL CHECK (n > 0),
    at timestamptz NOT NULL,
    actor_ref bytea NOT NULL CHECK (octet_length(actor_ref) = 32),
    action text NOT NULL,
    target_ref bytea CHECK (octet_length(target_ref) = 32),
    outcome text NOT NULL,
    mac bytea NOT NULL CHECK (octet_length(mac) = 32),
    PRIMARY KEY (user_hash, n)
  );
`;

/** Most memories have no key, no run and no end, so the indexes leave those out. */
const REFERENCES = `
  ALTER TABLE memseal.memory
    ADD CONSTRAINT memory_key_ref_check CHECK (octet_length(key_ref) = 32),
    ADD CONSTRAINT memory_content_ref_check CHECK (octet_length(content_ref) = 32),
    ADD CONSTRAINT memory_run_ref_check CHECK (octet_length(run_ref) = 32);
  CREATE UNIQUE INDEX memory_key_ref ON memseal.memory (user_hash, key_ref) WHERE key_ref IS NOT NULL;
  CREATE INDEX memory_content_ref ON memseal.memory (user_hash, content_ref) WHERE content_ref IS NOT NULL;
  CREATE UNIQUE INDEX memory_run_ref_position ON memseal.memory (user_hash, run_ref, position) WHERE run_ref IS NOT NULL;
  CREATE INDEX memory_expires_at ON memseal.memory (user_hash, expires_at) WHERE expires_at IS NOT NULL;
`;

/** No more than updates, history, idempotent answers, audit, purges and the count of seals need. Audit events only grow. */
const GRANTS = `
  GRANT UPDATE ON memseal.memory TO ${ROLES.app};
  GRANT SELECT, INSERT, DELETE ON memseal.memory_version, memseal.idempotency TO ${ROLES.app};
  GRANT SELECT, INSERT ON memseal.audit_event TO ${ROLES.app};
  GRANT UPDATE (status, seals_reserved), DELETE ON memseal.tenant_key TO ${ROLES.app};
  GRANT DELETE ON memseal.memory_tombstone TO ${ROLES.app};
`;

/** It learns which tenants have work, never what they hold; the work itself runs as the app role, tenant by tenant. */
const SCHEDULER = `
  GRANT USAGE ON SCHEMA memseal TO ${ROLES.scheduler};
  GRANT SELECT (user_hash, state, next_due_at) ON memseal.tenant TO ${ROLES.scheduler};
  CREATE POLICY due_tenants ON memseal.tenant FOR SELECT TO ${ROLES.scheduler} USING (true);
`;

/** History, idempotent answers, the audit chain, blind references and the scheduler. A service built for schema 1 runs beside it. */
export class Base0002000000000 implements SchemaMigration {
  readonly number = 2;
  readonly minService = 1;
  readonly drops = TENANT_TABLES;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
    await isolateTenants(runner, TENANT_TABLES);
    await runner.query(REFERENCES);
    await runner.query(GRANTS);
    await runner.query(SCHEDULER);
    await recordSchema(runner, this);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DELETE FROM memseal.schema_version WHERE number = 2;
      DROP POLICY due_tenants ON memseal.tenant;
      REVOKE ALL ON memseal.tenant FROM ${ROLES.scheduler};
      REVOKE ALL ON SCHEMA memseal FROM ${ROLES.scheduler};
      REVOKE DELETE ON memseal.memory_tombstone FROM ${ROLES.app};
      REVOKE UPDATE (status, seals_reserved), DELETE ON memseal.tenant_key FROM ${ROLES.app};
      REVOKE UPDATE ON memseal.memory FROM ${ROLES.app};
      DROP INDEX memseal.memory_expires_at, memseal.memory_run_ref_position, memseal.memory_content_ref, memseal.memory_key_ref;
      ALTER TABLE memseal.memory
        DROP CONSTRAINT memory_key_ref_check, DROP CONSTRAINT memory_content_ref_check, DROP CONSTRAINT memory_run_ref_check;
    `);
    for (const table of this.drops) await runner.query(`DROP TABLE memseal.${table}`);
  }
}
