import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../src/repository.js";

describe("two releases on one database", () => {
  // This tree in both places, which needs no history and no second build; `npm run soak:side-by-side` takes the release of deploy/releases.json.
  it("pass what is asked of a gateway at the same time, each with services of its own", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, "tools/side-by-side/run.mjs"), "--release", ROOT, "--suites", "apps/gateway/answers"], { encoding: "utf8" });
    console.log(stdout.trim());
    expect({ status, stderr }).toMatchObject({ status: 0 });
    for (const name of ["release", "current"]) expect(stdout).toMatch(new RegExp(`^${name} apps/gateway/answers: [1-9]\\d* passed, 0 failed$`, "m"));
  });
});
