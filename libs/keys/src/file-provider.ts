import { createSecretKey, type KeyObject } from "node:crypto";
import { decrypt, encrypt, hkdf, nextNonce, NONCE_BYTES, OpenError, PURPOSE, TAG_BYTES, type SecretBytes } from "@memseal/crypto";
import type { RootProvider, WrapContext } from "./root-provider.js";

/** A root key in a local file. wrapped = nonce(12) | ciphertext(32) | tag(16). */
export class FileProvider implements RootProvider {
  readonly provider = "file";
  readonly id: string;
  readonly #key: KeyObject;

  constructor(rootKey: SecretBytes) {
    this.#key = createSecretKey(hkdf(rootKey.reveal(), Buffer.from("memseal/v1/root/wrap")));
    this.id = hkdf(rootKey.reveal(), Buffer.from("memseal/v1/root/id")).subarray(0, 16).toString("hex");
  }

  wrap(key: Uint8Array, context: WrapContext): Promise<Buffer> {
    const nonce = nextNonce();
    const [ciphertext, tag] = encrypt(this.#key, nonce, wrapData(context), key);
    return Promise.resolve(Buffer.concat([nonce, ciphertext, tag]));
  }

  // async: a failure is a rejection, as with every other provider.
  // eslint-disable-next-line @typescript-eslint/require-await
  async unwrap(wrapped: Buffer, context: WrapContext): Promise<Buffer> {
    if (wrapped.length < NONCE_BYTES + TAG_BYTES) throw new OpenError();
    const tagAt = wrapped.length - TAG_BYTES;
    return decrypt(this.#key, wrapped.subarray(0, NONCE_BYTES), wrapData(context), wrapped.subarray(NONCE_BYTES, tagAt), wrapped.subarray(tagAt));
  }

  /** Always: the key was read at the start. */
  health(): Promise<void> {
    return Promise.resolve();
  }
}

/** "memseal/v1/wrap" | tenant (32) | version u32 | purpose u8. */
function wrapData({ tenant, version, purpose }: WrapContext): Buffer {
  const tail = Buffer.alloc(5);
  tail.writeUInt32BE(version, 0);
  tail.writeUInt8(PURPOSE[purpose], 4);
  return Buffer.concat([Buffer.from("memseal/v1/wrap"), Buffer.from(tenant, "hex"), tail]);
}
