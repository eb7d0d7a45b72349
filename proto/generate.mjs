// Generates libs/contracts/src/generated from the .proto files here. With --check, only compares.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const protoDir = import.meta.dirname;
const committed = join(protoDir, "../libs/contracts/src/generated");
const check = process.argv.includes("--check");
const output = check ? mkdtempSync(join(tmpdir(), "memseal-proto-")) : committed;

const list = (dir) => readdirSync(dir, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
  .sort();

if (!check) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
}

const require = createRequire(import.meta.url);
execFileSync(
  process.execPath,
  [
    require.resolve("protoc/protoc.cjs"),
    `--plugin=protoc-gen-ts_proto=${require.resolve("ts-proto/protoc-gen-ts_proto")}`,
    `--ts_proto_out=${output}`,
    "--ts_proto_opt=nestJs=true,outputServices=grpc-js,esModuleInterop=true,importSuffix=.js,env=node,forceLong=bigint,useDate=false,oneof=unions-value,unrecognizedEnum=false,removeEnumPrefix=true,addGrpcMetadata=true,outputIndex=false",
    `--proto_path=${protoDir}`,
    ...list(protoDir).filter((name) => name.endsWith(".proto")),
  ],
  { cwd: protoDir, stdio: "inherit" },
);

if (check) {
  const same = JSON.stringify(list(output)) === JSON.stringify(list(committed))
    && list(output).every((name) => readFileSync(join(output, name)).equals(readFileSync(join(committed, name))));
  rmSync(output, { recursive: true, force: true });
  if (!same) {
    console.error("libs/contracts/src/generated differs from proto/: run `npm run proto` and commit the result");
    process.exit(1);
  }
}
