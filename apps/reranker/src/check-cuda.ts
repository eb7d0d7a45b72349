// usage: node dist/check-cuda.js <CUDA's major version> [folder of CUDA's libraries ...]
// Whether what onnxruntime needs on a GPU is there, and for this CUDA. The CUDA image is not built unless it is; no GPU is needed to ask.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { StartupError } from "@memseal/errors";
import { assertCuda } from "./cuda-libraries.js";

const [major = "", ...libraryFolders] = process.argv.slice(2);
const onnxruntime = dirname(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")));
try {
  const folder = join(onnxruntime, "bin/napi-v6", process.platform, process.arch);
  console.log(`CUDA ${major}: ${assertCuda({ folder, major: Number(major), ...(libraryFolders.length > 0 && { libraryFolders }) }).join(", ")}`);
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
