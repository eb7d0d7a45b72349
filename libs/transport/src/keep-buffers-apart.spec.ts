import { keepBuffersApart } from "./keep-buffers-apart.js";

it("a small buffer that stays keeps nothing of the text of another beside it", () => {
  const before = Buffer.poolSize;
  const [kept, said] = [Buffer.from("kept"), Buffer.from("zirconium-walnut")];
  expect(Buffer.from(kept.buffer).includes(said)).toBe(true);
  try {
    keepBuffersApart();
    for (const make of [() => Buffer.from("kept"), () => Buffer.from("6b657074", "hex"), () => Buffer.allocUnsafe(4), () => Buffer.concat([Buffer.from("ke"), Buffer.from("pt")])]) {
      expect(make().buffer.byteLength).toBe(4);
    }
  } finally {
    Buffer.poolSize = before;
  }
});
