import { LocalDatabase } from "@memseal/storage";
import { Logger } from "@memseal/telemetry";
import pg from "pg";

/** One memory with its first chunk as the database holds it, read as superuser: what a thief of the disk sees. */
export async function rawRow(postgresDir: string): Promise<Record<string, string>> {
  const database = await LocalDatabase.start(postgresDir, new Logger("demo", () => undefined));
  const superuser = new pg.Client(database.server.superuser("memseal"));
  try {
    await superuser.connect();
    const { rows } = await superuser.query<Record<string, string>>(
      `SELECT m.id::text, encode(m.user_hash, 'hex') AS user_hash, m.seq::text, m.row_version::text,
              m.created_at::text, encode(m.text_cipher, 'hex') AS text_cipher, encode(m.meta_cipher, 'hex') AS meta_cipher,
              encode(substr(c.emb_cipher, 1, 96), 'hex') || '... ' || octet_length(c.emb_cipher) || ' bytes' AS emb_cipher
       FROM memseal.memory AS m JOIN memseal.chunk AS c ON c.user_hash = m.user_hash AND c.memory_id = m.id
       ORDER BY m.id LIMIT 1`,
    );
    return rows[0];
  } finally {
    await superuser.end();
    await database.stop();
  }
}
