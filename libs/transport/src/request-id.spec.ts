import { requestIdFrom } from "./request-id.js";

describe("requestIdFrom", () => {
  it("keeps a caller's plain id", () => {
    expect(requestIdFrom("order-7_a.b")).toBe("order-7_a.b");
  });

  it.each([undefined, "", "a b", "a\n", "a".repeat(65), "Zoë", ["a"], "<script>"])("makes one of its own instead of %j", (given) => {
    expect(requestIdFrom(given)).toMatch(/^[0-9a-f-]{36}$/);
    expect(requestIdFrom(given)).not.toBe(requestIdFrom(given));
  });
});
