import { BundleError } from "./bundle-error.js";

/** What a file's text means. name: as the file is told of. @throws BundleError where it is no JSON */
export function jsonOf(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BundleError(`${name} is no JSON`, { cause: error });
  }
}
