// An indexer that is given one row of another tenant by the database, as if a policy had been dropped.
import { rehearse } from "./rehearse.js";
import { interceptStatements } from "./statements.js";

/** Every tenant that has written has a row here, and every search reads its own. */
const READS_TENANT = /^SELECT .* FROM memseal\.tenant WHERE user_hash = \$1$/;

await rehearse(async (app, hasBegun) => {
  /** The first two tenants that the database has rows of: of one of them any statement is another's. */
  const known: Buffer[] = [];
  let isDone = false;
  await interceptStatements(app, async (statement, send) => {
    const own = statement.values?.[0] as unknown;
    if (!READS_TENANT.test(statement.text) || !Buffer.isBuffer(own)) return send(statement);
    const other = known.find((tenant) => !tenant.equals(own));
    if (other !== undefined && hasBegun() && !isDone) {
      isDone = true;
      // Row security shows the row for the rest of this transaction, which ends with the statement.
      const [, result] = await Promise.all([send(`SET LOCAL app.user_hash = '${other.toString("hex")}'`), send({ ...statement, values: [other] })]);
      return result;
    }
    const result = await send(statement);
    if (result.rows.length > 0 && known.length < 2 && !known.some((tenant) => tenant.equals(own))) known.push(own);
    return result;
  });
});
