export { ApiKeyMacs, type ApiKeyEvent, type ApiKeyRow, type Microseconds } from "./api-key-macs.js";
export { FileProvider } from "./file-provider.js";
export { FileRootKeys, type RootKeyVersion } from "./file-root-keys.js";
export { rewrapTenantKey, type WrappedKey } from "./rewrap.js";
export { soleRootKey, type RootKeys } from "./root-keys.js";
export type { TenantKeyRecord, TenantKeyRecords } from "./tenant-key-records.js";
export { TenantKeys, type TenantKeySet, type TenantKeysOptions } from "./tenant-keys.js";
export { type RootProvider, type WrapContext } from "./root-provider.js";
export { assertDistinct, ensureLocalSecrets, loadSecret, SECRET_FILES, type LocalSecrets, type SecretName } from "./secret-files.js";
