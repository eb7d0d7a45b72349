// Generates libs/contracts/src/generated from the .proto files here. With --check, only compares.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BinaryReader } from "@bufbuild/protobuf/wire";

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
const OPTIONS = "outputServices=grpc-js,esModuleInterop=true,importSuffix=.js,env=node,forceLong=bigint,useDate=false,oneof=unions-value,unrecognizedEnum=false,removeEnumPrefix=true,addGrpcMetadata=true,outputIndex=false";

function protoc(options, files) {
  execFileSync(
    process.execPath,
    [
      require.resolve("protoc/protoc.cjs"),
      ...options,
      `--proto_path=${protoDir}`,
      `--proto_path=${dirname(require.resolve("protoc/include/google/protobuf/struct.proto")).replace("/google/protobuf", "")}`,
      ...files,
    ],
    { cwd: protoDir, stdio: "inherit" },
  );
}

const generate = (options, files) =>
  protoc([`--plugin=protoc-gen-ts_proto=${require.resolve("ts-proto/protoc-gen-ts_proto")}`, `--ts_proto_out=${output}`, `--ts_proto_opt=${options}`], files);

const protos = list(protoDir).filter((name) => name.endsWith(".proto"));
generate(`nestJs=true,${OPTIONS}`, protos);
// With nestJs, Struct wraps each value for protobufjs and its own encoder then wraps it once more: all is lost.
generate(OPTIONS, ["google/protobuf/struct.proto"]);

// Built by assignment from names that callers chose: without a prototype there is no setter that could swallow one.
const structs = join(output, "google/protobuf/struct.ts");
const plain = readFileSync(structs, "utf8");
const safe = plain.replace("return { fields: {} };", "return { fields: globalThis.Object.create(null) };")
  .replace("const object: { [key: string]: any } = {};", "const object: { [key: string]: any } = globalThis.Object.create(null);");
if (safe.split("Object.create(null)").length !== 3) throw new Error("ts-proto writes Struct otherwise by now");
writeFileSync(structs, safe);

// What server reflection answers from.
const descriptorSet = join(output, "descriptors.bin");
protoc([`--descriptor_set_out=${descriptorSet}`, "--include_imports"], protos);
const files = filesOf(readFileSync(descriptorSet)).map((file) => `  "${file.toString("base64")}",\n`).join("");
rmSync(descriptorSet);
writeFileSync(join(output, "descriptors.ts"), `// Generated from proto/ by \`npm run proto\`.\n\n/** google.protobuf.FileDescriptorProto of each file and of what it imports, in base64. */\nexport const FILE_DESCRIPTORS: readonly string[] = [\n${files}];\n`);

// For Nest's own loader of .proto files, ts-proto registers converters with protobufjs. Nest gets generated
// definitions here, and the named import of that CommonJS module fails in Node.
for (const name of list(output)) {
  const file = join(output, name);
  const text = readFileSync(file, "utf8");
  const kept = text.split("\n").filter((line) => !/^import \{ wrappers \} from "protobufjs";$|^wrappers\[/.test(line)).join("\n");
  if (kept !== text) writeFileSync(file, kept);
}

/** The messages of a FileDescriptorSet: `repeated FileDescriptorProto file = 1`. */
function filesOf(set) {
  const reader = new BinaryReader(set);
  const found = [];
  while (reader.pos < reader.len) {
    const [field] = reader.tag();
    if (field !== 1) throw new Error(`a FileDescriptorSet with field ${field}`);
    found.push(Buffer.from(reader.bytes()));
  }
  return found;
}

if (check) {
  const same = JSON.stringify(list(output)) === JSON.stringify(list(committed))
    && list(output).every((name) => readFileSync(join(output, name)).equals(readFileSync(join(committed, name))));
  rmSync(output, { recursive: true, force: true });
  if (!same) {
    console.error("libs/contracts/src/generated differs from proto/: run `npm run proto` and commit the result");
    process.exit(1);
  }
}
