export { formatApiKey, generateApiKey, hashApiKeySecret, isApiKey, parseApiKey, type ApiKey } from "./api-keys.js";
export { receiptKeySet, ReceiptSigner, verifyReceipt, type ErasureClaims } from "./erasure-receipts.js";
export { loadIssuers, type Issuer } from "./issuers.js";
export { JwtVerifier, type JwtUser } from "./jwt.js";
export { SCOPES, USER_SCOPES, type Scope, type UserScope } from "./scopes.js";
export { ASSERTION_KEY, AssertionSigner, AssertionVerifier, generateAssertionKeys, METHOD_CLASSES, type MethodClass, type TenantClaims } from "./tenant-assertion.js";
export { UserTokens, type UserTokenClaims } from "./user-tokens.js";
