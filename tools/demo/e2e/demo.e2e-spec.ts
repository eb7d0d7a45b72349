import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { runToExit } from "@memseal/transport/testing";

describe("npm run demo", () => {
  it("finds at least 17 of 20 answers in the first three, shows the other user nothing of them, and leaves nothing behind", async () => {
    const { code, lines } = await runToExit(fileURLToPath(new URL("../dist/main.js", import.meta.url)), {
      // A shared test machine is slower than the 250 ms that production allows.
      MEMSEAL_RERANK_TIMEOUT_MS: "5000",
    });
    const output = lines.join("\n");
    expect(output).toMatch(/OK: (17|18|19|20) of 20 answers in the first three \(17 required\), 0 foreign turns seen/);
    expect(code).toBe(0);
    expect(output).toMatch(/text_cipher\s+4d310101/);
    const home = /Starting Memseal in (\S+)/.exec(output)![1].split("/").at(-1);
    expect(readdirSync(tmpdir())).not.toContain(home);
  });
});
