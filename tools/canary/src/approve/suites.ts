import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/** A file of tests; its name without what follows the dots. */
export interface Suite {
  readonly kind: "unit" | "integration" | "e2e";
  readonly project: string;
  readonly spec: string;
}

export interface TestResult {
  readonly title: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly ms: number;
}

const JEST = z.object({
  testResults: z.array(z.object({
    name: z.string(),
    status: z.string(),
    assertionResults: z.array(z.object({ fullName: z.string(), status: z.string(), duration: z.number().nullish() })),
  })),
});

export const nameOf = ({ kind, project, spec }: Suite): string => `${project} ${spec} (${kind})`;

/** What jest's JSON says of each test. A file that failed without a failed test is one: it did not run, or did not end. */
export function resultsOf(json: unknown): TestResult[] {
  return JEST.parse(json).testResults.flatMap(({ status, assertionResults }) => {
    const results = assertionResults.map(({ fullName, status: outcome, duration }): TestResult => ({ title: fullName, outcome: outcomeOf(outcome), ms: Math.round(duration ?? 0) }));
    const isUnexplained = status === "failed" && !results.some(({ outcome }) => outcome === "failed");
    return isUnexplained ? [...results, { title: "the file itself", outcome: "failed" as const, ms: 0 }] : results;
  });
}

function outcomeOf(status: string): TestResult["outcome"] {
  return status === "passed" || status === "failed" ? status : "skipped";
}

/** Runs one file of tests of the workspace at `root`. A run that leaves no result is a failed one. */
export async function runSuite(root: string, { kind, project, spec }: Suite): Promise<TestResult[]> {
  const dir = mkdtempSync(join(tmpdir(), "memseal-approve-"));
  try {
    const pattern = `--testPathPatterns=/${spec.replaceAll(".", "\\.")}\\.((integration|e2e)-)?spec`;
    await new Promise((resolve, reject) => {
      spawn(process.execPath, ["jest.run.mjs", kind, project, pattern], { cwd: root, stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, MEMSEAL_TEST_RESULTS: dir } })
        .once("error", reject)
        .once("exit", resolve);
    });
    return resultsOf(JSON.parse(readFileSync(join(dir, project, `${kind}.json`), "utf8")));
  } catch (error) {
    console.error(error);
    return [{ title: "the file itself", outcome: "failed", ms: 0 }];
  } finally {
    rmSync(dir, { recursive: true });
  }
}
