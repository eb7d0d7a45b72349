import type { Metadata } from "@grpc/grpc-js";
import { Injectable, SetMetadata, type CanActivate, type ExecutionContext } from "@nestjs/common";
import { ASSERTION_KEY, type AssertionVerifier, type MethodClass, type TenantClaims } from "@memseal/auth";
import { PermissionDeniedError, UnauthenticatedError } from "@memseal/errors";

const ACCESS = "memseal:access";
type Access = MethodClass | "no tenant";

/** What a call does with its tenant's rows. A handler that says nothing is refused. */
export const Access = (access: Access): MethodDecorator => SetMetadata(ACCESS, access);

const claimsOf = new WeakMap<Metadata, TenantClaims>();

/** Verifies the tenant assertion of every call whose handler does not declare that it has no tenant. */
@Injectable()
export class TenantGuard implements CanActivate {
  /** onRefused: told of each assertion that was shown and does not hold. */
  constructor(
    private readonly verifier: AssertionVerifier,
    private readonly onRefused: () => void,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = Reflect.getMetadata(ACCESS, context.getHandler()) as Access | undefined;
    if (access === undefined) throw new PermissionDeniedError("this call declares no access");
    if (access === "no tenant") return true;
    const metadata = context.switchToRpc().getContext<Metadata>();
    const assertion = metadata.get(ASSERTION_KEY)[0]?.toString();
    claimsOf.set(metadata, await this.#verify(assertion, access));
    return true;
  }

  async #verify(assertion: string | undefined, access: MethodClass): Promise<TenantClaims> {
    try {
      const claims = await this.verifier.verify(assertion, access);
      if (!claims.scopes.includes(access)) throw new PermissionDeniedError(`the credential lacks the scope ${access}`);
      return claims;
    } catch (error) {
      if (assertion !== undefined) this.onRefused();
      throw error;
    }
  }
}

/** Whose call it is and who makes it, as the guard verified. @throws UnauthenticatedError where it verified nobody */
export function callerOf(metadata: Metadata | undefined): Pick<TenantClaims, "tenant" | "actor"> {
  const claims = metadata && claimsOf.get(metadata);
  if (claims === undefined) throw new UnauthenticatedError();
  return claims;
}
