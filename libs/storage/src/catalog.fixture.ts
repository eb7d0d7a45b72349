/**
 * One row `line` for everything that the schema consists of: relations, columns, constraints, indexes, policies,
 * functions, triggers, and who may do what with each. TypeORM's own table is left out.
 */
export const CATALOG = `
  WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = to_regnamespace('memseal') AND relname NOT LIKE 'typeorm\\_%' AND relname NOT LIKE 'PK\\_%')
  SELECT line FROM (
    SELECT concat_ws(' | ', 'schema', nspname, nspowner::regrole, ${rights("nspacl", "n", "nspowner")}) FROM pg_namespace WHERE nspname = 'memseal'
    UNION ALL
    SELECT concat_ws(' | ', 'relation', relname, relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, reloptions, ${rights("relacl", "r", "relowner")})
    FROM ours
    UNION ALL
    SELECT concat_ws(' | ', 'column', relname, row_number() OVER (PARTITION BY attrelid ORDER BY attnum), attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attcollation, pg_get_expr(adbin, adrelid),
      (SELECT string_agg(concat_ws(' ', grantee::regrole, privilege_type), ', ' ORDER BY grantee::regrole::text, privilege_type) FROM aclexplode(attacl)))
    FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    UNION ALL
    SELECT concat_ws(' | ', 'constraint', relname, conname, convalidated, pg_get_constraintdef(pg_constraint.oid)) FROM ours JOIN pg_constraint ON conrelid = ours.oid
    UNION ALL
    SELECT concat_ws(' | ', 'index', relname, indisvalid, pg_get_indexdef(indexrelid)) FROM ours JOIN pg_index ON indrelid = ours.oid
    UNION ALL
    SELECT concat_ws(' | ', 'policy', relname, polname, polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    FROM ours JOIN pg_policy ON polrelid = ours.oid
    UNION ALL
    SELECT concat_ws(' | ', 'function', proowner::regrole, pg_get_functiondef(pg_proc.oid), ${rights("proacl", "f", "proowner")}) FROM pg_proc WHERE pronamespace = to_regnamespace('memseal')
    UNION ALL
    SELECT concat_ws(' | ', 'trigger', relname, pg_get_triggerdef(pg_trigger.oid)) FROM ours JOIN pg_trigger ON tgrelid = ours.oid
  ) AS lines (line) ORDER BY line`;

/** Who may do what with an object: an access list that was never changed says the same as PostgreSQL's default. */
function rights(acl: string, kind: string, owner: string): string {
  return `(SELECT string_agg(concat_ws(' ', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable), ', ' ORDER BY grantee, privilege_type)
           FROM aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))))`;
}
