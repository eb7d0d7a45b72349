/** What a credential may do for its user. */
export const USER_SCOPES = ["read", "write", "admin"] as const;
export type UserScope = (typeof USER_SCOPES)[number];

/** What any credential may do. `delegate`, handing out tokens of users, is for API keys that are bound to none: never for a token itself. */
export const SCOPES = [...USER_SCOPES, "delegate"] as const;
export type Scope = (typeof SCOPES)[number];
