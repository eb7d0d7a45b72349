import { StartupError } from "@memseal/errors";
import { nobody } from "./postgres-home.js";

describe("nobody", () => {
  it("is found by name, with the numbers this machine gives it", () => {
    expect(nobody("root:x:0:0:root:/root:/bin/bash\nnobody:x:99:98:Nobody:/:/sbin/nologin\n")).toEqual({ uid: 99, gid: 98 });
  });

  it.each(["root:x:0:0:root:/root:/bin/bash\n", "nobody:x:0:0:::\n", ""])("is never root and never made up (%j)", (passwd) => {
    expect(() => nobody(passwd)).toThrow(StartupError);
  });
});
