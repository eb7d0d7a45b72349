import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Measured } from "@memseal/evidence";
import { z } from "zod";
import { UsageError } from "../commands/command.js";
import { ROOT } from "../repository.js";
import { ATTACKS, type AttackedPromise } from "./attacks.js";
import { NOT_YET, outdated } from "./not-yet.js";
import { securityFigures, suitesOf, type Sabotage } from "./security.js";
import { nameOf, runSuite, type TestResult } from "./suites.js";
import { build } from "./workspace.js";

const SABOTAGES = z.object({
  SABOTAGES: z.array(z.object({ name: z.string(), test: z.object({ kind: z.enum(["unit", "integration", "e2e"]), project: z.string(), spec: z.string(), turnsRed: z.string() }) })),
});

/** Runs every attack. only: parts of promises; the rest is left out, and the approval fails. @throws UsageError where no promise is so called */
export async function measureSecurity(only: readonly string[] = []): Promise<Measured> {
  const promises = chosen(only);
  const suites = suitesOf(promises);
  if (suites.some(({ kind }) => kind === "e2e")) build(ROOT);
  const results = new Map<string, TestResult[]>();
  for (const suite of suites) results.set(nameOf(suite), await runSuite(ROOT, suite));
  const threatModel = readFileSync(join(ROOT, "docs/threat-model.md"), "utf8");
  return {
    settings: [
      `${suites.length} suites, one after the other, each whole`,
      `PostgreSQL embedded${process.env["MEMSEAL_TEST_POSTGRES_URL"] === undefined ? "; a second server was not named (MEMSEAL_TEST_POSTGRES_URL): its tests are skipped" : " and a second server"}`,
      ...(only.length > 0 ? [`only: ${only.join("; ")}`] : []),
    ],
    figures: securityFigures({ promises, results, sabotages: await sabotages(), leftOut: ATTACKS.length - promises.length, outdated: outdated(threatModel) }),
    notYet: NOT_YET.map(({ promise, says }) => `${promise} (threat model: "${says}")`),
  };
}

function chosen(only: readonly string[]): readonly AttackedPromise[] {
  if (only.length === 0) return ATTACKS;
  const promises = ATTACKS.filter(({ promise }) => only.some((part) => promise.includes(part)));
  if (promises.length === 0) throw new UsageError(`no attacked promise is called so; they are:\n${ATTACKS.map(({ promise }) => `  ${promise}`).join("\n")}`);
  return promises;
}

async function sabotages(): Promise<Sabotage[]> {
  return SABOTAGES.parse(await import(pathToFileURL(join(ROOT, "tools/guards/sabotages.mjs")).href)).SABOTAGES;
}
