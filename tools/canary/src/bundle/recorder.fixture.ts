// Records without end in the folder it is given, and says of each artifact when it is recorded. For the test that kills it.
import { BundleRecorder } from "./recorder.js";

const recorder = BundleRecorder.create(process.argv[2] ?? "", { release: "v0.2.0", mode: "local-demo", time_scale: 1 });
for (let n = 1; ; n++) {
  recorder.recordJson(`looks/${n}.json`, { text: "x".repeat(n * 100) });
  process.stdout.write(`${n}\n`);
}
