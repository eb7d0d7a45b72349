// Seals, opens, refers and prints with a known key, then writes a heap snapshot to the file it is given.
import { inspect } from "node:util";
import { writeHeapSnapshot } from "node:v8";
import { FIELD, Keyring, open, parseUserHash, ReferenceKey, seal, SecretBytes, TenantKey } from "@memseal/crypto";

const secret = SecretBytes.of(Buffer.from(Array.from({ length: 32 }, (_byte, i) => (i * 37 + 11) % 256)));
const keyring = new Keyring(new TenantKey(secret));
const reference = new ReferenceKey(secret);
const place = { tenant: parseUserHash("ab".repeat(32)), rowId: Buffer.alloc(16), field: FIELD.text, rowVersion: 1 };
open(seal(Buffer.from("x"), keyring, place), keyring, place);
reference.reference("key", "x");
globalThis.kept = { secret, keyring, reference, shown: [inspect(secret), JSON.stringify(keyring), JSON.parse('["marker-of-this-test-0123456789"]')[0]] };
writeHeapSnapshot(process.argv[2]);
