import { randomBytes } from "node:crypto";
import { OpenError, parseUserHash } from "@memseal/crypto";
import type { RootProvider, WrapContext } from "./root-provider.js";

/** What every root provider must do. make: a provider with a root key of its own. */
export function rootProviderSuite(name: string, make: () => RootProvider): void {
  const context: WrapContext = { tenant: parseUserHash("ab".repeat(32)), version: 1, purpose: "seal" };
  const key = randomBytes(32);

  describe(`${name} as a root provider`, () => {
    const root = make();

    it("unwraps what it wrapped", async () => {
      expect((await root.unwrap(await root.wrap(key, context), context)).equals(key)).toBe(true);
    });

    it("wraps the same key never twice alike, and shows nothing of it", async () => {
      const [first, second] = [await root.wrap(key, context), await root.wrap(key, context)];
      expect(first.equals(second)).toBe(false);
      expect(first.includes(key.subarray(0, 8))).toBe(false);
    });

    it.each<[string, Partial<WrapContext>]>([
      ["another tenant", { tenant: parseUserHash("cd".repeat(32)) }],
      ["another version", { version: 2 }],
      ["another purpose", { purpose: "reference" }],
    ])("refuses a wrapped key moved to %s", async (_what, change) => {
      await expect(root.unwrap(await root.wrap(key, context), { ...context, ...change })).rejects.toThrow(OpenError);
    });

    it("refuses a key that another root key wrapped, and names another id", async () => {
      const other = make();
      expect(other.id).not.toBe(root.id);
      await expect(root.unwrap(await other.wrap(key, context), context)).rejects.toThrow(OpenError);
    });

    it("refuses every flipped bit, and bytes too short or too long", async () => {
      const wrapped = await root.wrap(key, context);
      for (let bit = 0; bit < wrapped.length * 8; bit++) {
        const flipped = Buffer.from(wrapped);
        flipped[bit >> 3] ^= 1 << (bit & 7);
        await expect(root.unwrap(flipped, context)).rejects.toThrow(OpenError);
      }
      for (let length = 0; length < wrapped.length; length++) await expect(root.unwrap(wrapped.subarray(0, length), context)).rejects.toThrow(OpenError);
      await expect(root.unwrap(Buffer.concat([wrapped, Buffer.alloc(1)]), context)).rejects.toThrow(OpenError);
    });

    it("says that it can be used", async () => {
      await root.health();
    });

    it("names its kind and its key, short enough for a column and a log", () => {
      expect(root.provider).toMatch(/^[a-z][a-z0-9-]{0,30}$/);
      expect(root.id).toMatch(/^[\x21-\x7e]{1,256}$/);
    });
  });
}
