export { formatApiKey, generateApiKey, hashApiKeySecret, parseApiKey, SCOPES, type ApiKey, type Scope } from "./api-keys.js";
export { ASSERTION_KEY, AssertionSigner, AssertionVerifier, generateAssertionKeys, METHOD_CLASSES, type MethodClass, type TenantClaims } from "./tenant-assertion.js";
