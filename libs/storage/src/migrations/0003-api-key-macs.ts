import type { QueryRunner } from "typeorm";
import { ROLES } from "../roles.js";
import { createKeyLookup, dropKeyLookup } from "./key-lookup.js";
import { recordSchema, type SchemaMigration } from "./schema-migration.js";

/** Nullable: keys of the release before have none, and the release before makes keys without. */
const MAC = "ALTER TABLE memseal.api_key ADD COLUMN mac bytea CHECK (octet_length(mac) = 32)";

const EVENTS = `
  CREATE TABLE memseal.key_event (
    n bigint PRIMARY KEY CHECK (n > 0),
    at timestamptz NOT NULL,
    action text NOT NULL CHECK (action IN ('create', 'vouch', 'revoke')),
    key_id text NOT NULL,
    mac bytea NOT NULL CHECK (octet_length(mac) = 32)
  );
  GRANT SELECT, INSERT ON memseal.key_event TO ${ROLES.keys};
`;

/** As before, with all that a MAC is made of: a service built for schema 2 names the columns that it wants. */
const KEY_LOOKUP = {
  returns: "user_hash bytea, namespace text, scopes text[], created_at timestamptz, expires_at timestamptz, revoked_at timestamptz, mac bytea",
  columns: "k.user_hash, k.namespace, k.scopes, k.created_at, k.expires_at, k.revoked_at, k.mac",
};

/**
 * A MAC for each API key, and a chain of what is done to them. Gives no row a MAC: whoever could write the table could
 * have had any row authenticated by taking this migration back in SQL.
 */
export class ApiKeyMacs0003000000000 implements SchemaMigration {
  readonly number = 3;
  readonly minService = 1;
  readonly drops = ["key_event"];

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(MAC);
    await runner.query(EVENTS);
    await dropKeyLookup(runner);
    await createKeyLookup(runner, KEY_LOOKUP);
    await recordSchema(runner, this);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query("DELETE FROM memseal.schema_version WHERE number = 3");
    await dropKeyLookup(runner);
    await createKeyLookup(runner);
    await runner.query("DROP TABLE memseal.key_event; ALTER TABLE memseal.api_key DROP COLUMN mac");
  }
}
