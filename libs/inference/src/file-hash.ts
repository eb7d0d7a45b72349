import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

export interface FileHash {
  bytes: number;
  sha256: string;
}

/** Size and SHA-256 of a file, read piece by piece; undefined where there is none. */
export async function hashFile(path: string): Promise<FileHash | undefined> {
  try {
    const { size } = await stat(path);
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return { bytes: size, sha256: hash.digest("hex") };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
