import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** What a file's bytes must hash to; its blob bears the name. */
export interface Digest {
  /** `sha256` of the bytes (large files), or `git`: sha1 of `blob <length>\0` and the bytes. */
  readonly algorithm: "sha256" | "git";
  readonly hex: string;
}

/** A running hash. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Whether what was hashed is what was announced. Ends the hash. */
  fits(): boolean;
}

/** Starts the hash of a file of `bytes` bytes. */
export function hasher({ algorithm, hex }: Digest, bytes: number): Hasher {
  const hash = createHash(algorithm === "git" ? "sha1" : "sha256");
  if (algorithm === "git") hash.update(`blob ${bytes}\0`);
  return {
    update: (chunk) => void hash.update(chunk),
    fits: () => hash.digest("hex") === hex,
  };
}

/** Hashes the bytes of a file. @returns how many there were */
export async function hashFile(path: string, into: Hasher, signal: AbortSignal | undefined): Promise<number> {
  let count = 0;
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024, ...(signal ? { signal } : {}) });
  for await (const chunk of stream) {
    into.update(chunk);
    count += chunk.length;
  }
  return count;
}
