import { spawnSync } from "node:child_process";

/** Of the Debian packages prometheus and prometheus-alertmanager. */
export type Tool = "promtool" | "amtool";

const isRequired = process.env.MEMSEAL_REQUIRE_PROMETHEUS === "1";
const isThere = (["promtool", "amtool"] satisfies Tool[]).every((tool) => spawnSync(tool, ["--version"]).status === 0);

/** Their tests run where they are there, and where they are required, as in CI. */
export const canRun = isThere || isRequired;

/** Exit code, and all that it printed. */
export function run(tool: Tool, ...args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(tool, args, { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}
