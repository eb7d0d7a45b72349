import { isKeptSecret } from "./secret-mode.js";

describe("a file of a secret", () => {
  const ours = 65_532;

  it.each([
    ["its owner's alone", 0o100600, ours],
    ["its owner's alone, to read", 0o100400, ours],
    ["root's, and read by a group: a mounted Secret", 0o100440, 0],
    ["root's, and read by a group that root alone changes", 0o100640, 0],
  ])("is kept secret as %s", (_name, mode, uid) => {
    expect(isKeptSecret({ mode, uid }, ours)).toBe(true);
  });

  it.each([
    ["our own, and read by a group", 0o100640, ours],
    ["another user's, and read by a group", 0o100640, 1_000],
    ["root's, and written by a group", 0o100660, 0],
    ["root's, and read by everybody", 0o100444, 0],
    ["our own, and read by everybody", 0o100604, ours],
  ])("is not as %s", (_name, mode, uid) => {
    expect(isKeptSecret({ mode, uid }, ours)).toBe(false);
  });

  it("is root's alone where root is who reads it", () => {
    expect(isKeptSecret({ mode: 0o100640, uid: 0 }, 0)).toBe(false);
    expect(isKeptSecret({ mode: 0o100600, uid: 0 }, 0)).toBe(true);
  });
});
