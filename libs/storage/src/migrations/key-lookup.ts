import type { QueryRunner } from "typeorm";
import { ROLES } from "../roles.js";

/** What the lookup says of a key. */
interface Lookup {
  /** Names and types of its columns. */
  returns: string;
  /** The same of the table `k`. */
  columns: string;
}

const FIRST: Lookup = { returns: "user_hash bytea, namespace text, scopes text[]", columns: "k.user_hash, k.namespace, k.scopes" };

/** Makes the auth role's only right. The function's owner alone sees api_key, and both arguments must match. */
export async function createKeyLookup(runner: QueryRunner, { returns, columns } = FIRST): Promise<void> {
  await runner.query(`
  GRANT CREATE ON SCHEMA memseal TO ${ROLES.keys};
  SET LOCAL ROLE ${ROLES.keys};
  CREATE FUNCTION memseal.resolve_api_key(wanted_id text, wanted_hash bytea)
    RETURNS TABLE (${returns})
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
      SELECT ${columns}
      FROM memseal.api_key AS k
      WHERE k.key_id = wanted_id AND k.secret_hash = wanted_hash
        AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    $$;
  REVOKE ALL ON FUNCTION memseal.resolve_api_key FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION memseal.resolve_api_key TO ${ROLES.auth};
  RESET ROLE;
  REVOKE CREATE ON SCHEMA memseal FROM ${ROLES.keys};
`);
}

export async function dropKeyLookup(runner: QueryRunner): Promise<void> {
  await runner.query(`SET LOCAL ROLE ${ROLES.keys}; DROP FUNCTION memseal.resolve_api_key; RESET ROLE`);
}
