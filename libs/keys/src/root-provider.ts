import type { Purpose, UserHash } from "@memseal/crypto";

/** Which tenant key is wrapped. A wrapped key opens only for exactly this. */
export interface WrapContext {
  tenant: UserHash;
  version: number;
  purpose: Purpose;
}

/** Wraps tenant keys under a root key that it alone holds. */
export interface RootProvider {
  /** Kind of provider, such as `file`; stored beside each wrapped key. */
  readonly provider: string;
  /** Which root key wraps now, never the key itself; stored beside each wrapped key. */
  readonly id: string;
  /** @throws UnavailableError when the key cannot be reached */
  wrap(key: Uint8Array, context: WrapContext): Promise<Buffer>;
  /** @throws OpenError when the bytes were not wrapped by this root key for this context; UnavailableError when it cannot be reached */
  unwrap(wrapped: Buffer, context: WrapContext): Promise<Buffer>;
  /** Resolves when the key can be used now. @throws UnavailableError */
  health(): Promise<void>;
}
