import type { QueryRunner } from "typeorm";
import { ROLES } from "../roles.js";
import { isolateTenants } from "./row-security.js";
import { recordSchema, type SchemaMigration } from "./schema-migration.js";

/** No tenant's, and no secret: which versions of the root key there were, and until when. */
const ROOT_KEYS = `
  CREATE TABLE memseal.root_key (
    version integer PRIMARY KEY CHECK (version > 0),
    provider text NOT NULL,
    root_key_id text NOT NULL,
    created_at timestamptz NOT NULL,
    rotated_at timestamptz,
    destroyed_at timestamptz
  );
  GRANT SELECT ON memseal.root_key TO ${ROLES.app};
`;

/** What a receipt says. It stays when everything else of the tenant is gone. */
const ERASURES = `
  CREATE TABLE memseal.erasure (
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 32),
    id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    memories bigint NOT NULL CHECK (memories >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    root_key_ids text[] NOT NULL,
    PRIMARY KEY (user_hash, id)
  );
  GRANT SELECT, INSERT ON memseal.erasure TO ${ROLES.app};
`;

/** A process that still holds a destroyed version must not wrap with it what nothing would ever open. */
const NO_DESTROYED_ROOT = `
  CREATE POLICY no_destroyed_root ON memseal.tenant_key AS RESTRICTIVE FOR INSERT WITH CHECK (
    NOT EXISTS (SELECT FROM memseal.root_key AS r WHERE r.root_key_id = tenant_key.root_key_id AND r.destroyed_at IS NOT NULL)
  );
`;

/** Versions of the root key, and receipts of erasures that outlive their day. A service built for schema 1 runs beside it. */
export class RootKeys0004000000000 implements SchemaMigration {
  readonly number = 4;
  readonly minService = 1;
  readonly drops = ["root_key", "erasure"];

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(ROOT_KEYS);
    await runner.query(ERASURES);
    await isolateTenants(runner, ["erasure"]);
    await runner.query(NO_DESTROYED_ROOT);
    await recordSchema(runner, this);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query("DELETE FROM memseal.schema_version WHERE number = 4");
    await runner.query("DROP POLICY no_destroyed_root ON memseal.tenant_key");
    for (const table of this.drops) await runner.query(`DROP TABLE memseal.${table}`);
  }
}
