import { EvidenceError } from "./evidence-error.js";

/** What a file's text means. name: as the file is told of. @throws EvidenceError where it is no JSON */
export function jsonOf(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EvidenceError(`${name} is no JSON`, { cause: error });
  }
}
