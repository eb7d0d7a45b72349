// Compiles dot.ts here to ../src/generated/dot-kernel.ts. With --check, only compares.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

const committed = join(import.meta.dirname, "../src/generated/dot-kernel.ts");
const { error, stderr, binary } = await compile();
if (error) {
  console.error(stderr);
  process.exit(1);
}
const text = `// Generated from kernel/dot.ts by \`npm run kernel\`.\n\n/** WebAssembly with SIMD, in base64. Imports \`env.memory\`. */\nexport const DOT_KERNEL = "${Buffer.from(binary).toString("base64")}";\n`;
if (!process.argv.includes("--check")) {
  mkdirSync(join(committed, ".."), { recursive: true });
  writeFileSync(committed, text);
} else if (readFileSync(committed, "utf8") !== text) {
  console.error("libs/retrieval/src/generated differs from libs/retrieval/kernel: run `npm run kernel` and commit the result");
  process.exit(1);
}

async function compile() {
  let compiled;
  const { error, stderr } = await asc.main(
    ["dot.ts", "--outFile", "dot.wasm", "--baseDir", import.meta.dirname, "-O3", "--runtime", "stub", "--noAssert", "--enable", "simd", "--importMemory"],
    { writeFile: (name, contents) => { if (name.endsWith(".wasm")) compiled = contents; } },
  );
  return { error, stderr: stderr.toString(), binary: compiled };
}
