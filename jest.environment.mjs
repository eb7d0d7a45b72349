import { TestEnvironment } from "jest-environment-node";

/**
 * Gives tests the host's typed arrays. Jest runs tests in a realm of its own, and native modules
 * (onnxruntime-node) refuse typed arrays that another realm made.
 */
export default class HostTypedArrays extends TestEnvironment {
  async setup() {
    await super.setup();
    Object.assign(this.global, { Float32Array, Int32Array, BigInt64Array, Uint8Array });
  }
}
