import type { UserTokens } from "@memseal/auth";
import { parseCreateToken, toTimestamp, type CreateTokenRequest, type CreateTokenResponse } from "@memseal/contracts";
import { userHash, type SecretBytes } from "@memseal/crypto";
import { PermissionDeniedError } from "@memseal/errors";
import type { DelegateCall } from "./call.js";
import type { IndexerClient } from "./indexer-client.js";

export interface TokenParts {
  indexer: Pick<IndexerClient, "noteToken">;
  tenantSecret: SecretBytes;
  userTokens: Pick<UserTokens, "sign">;
}

/**
 * A delegate key for a token of one user of its namespace. A key hands out those of its own scopes that are asked for.
 * There is no token without its event in the user's audit trail.
 * @throws PermissionDeniedError for a scope that the key lacks
 */
export class CreateToken {
  constructor(private readonly parts: TokenParts) {}

  async create(call: DelegateCall, request: CreateTokenRequest): Promise<CreateTokenResponse> {
    const { delegate } = call;
    const { userId, scopes, ttlS } = parseCreateToken(request);
    const lacking = scopes.find((scope) => !delegate.scopes.includes(scope));
    if (lacking !== undefined) throw new PermissionDeniedError(`this delegate key lacks the scope ${lacking} and cannot hand it out`);
    const { indexer, tenantSecret, userTokens } = this.parts;
    const tenant = userHash(tenantSecret, userId, delegate.namespace);
    await indexer.noteToken(call, tenant);
    const { token, expiresAt } = await userTokens.sign({ tenant, namespace: delegate.namespace, scopes, keyId: delegate.keyId }, ttlS);
    return { token, expiresAt: toTimestamp(expiresAt) };
  }
}
