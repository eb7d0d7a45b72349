// usage: seal-until-killed.fixture.mjs <app url> <root key in hex> <tenant> <seals in a block> <seals under one key>
// Seals one value after the other, with rotations as often as they come, and prints each blob once it is made.
import { writeSync } from "node:fs";
import { FIELD, parseUserHash, seal, SecretBytes } from "@memseal/crypto";
import { FileProvider, soleRootKey, TenantKeys } from "@memseal/keys";
import { createPool, TenantDatabase, TenantKeyStore } from "@memseal/storage";
import { Logger } from "@memseal/telemetry";

const [url, rootKey, tenantHash, sealBlock, sealLimit] = process.argv.slice(2);
const tenant = parseUserHash(tenantHash);
const database = new TenantDatabase(createPool(url, new Logger("fixture", () => undefined), 2));
const root = soleRootKey(new FileProvider(SecretBytes.of(Buffer.from(rootKey, "hex"))));
const keys = new TenantKeys(new TenantKeyStore(database), root, { sealBlock: Number(sealBlock), sealLimit: Number(sealLimit) });
for (let i = 0; ; i++) {
  const { keyring } = await keys.forSealing(tenant, 0, 1);
  const blob = seal(Buffer.from(`value ${i}`), keyring, { tenant, rowId: Buffer.alloc(16), field: FIELD.text, rowVersion: 1 });
  writeSync(1, `${blob.toString("hex")}\n`);
}
