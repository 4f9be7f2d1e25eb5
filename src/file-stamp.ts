import { type BigIntStats, statSync } from "node:fs";

/** What a file is like: another one, and one that was cut, grew or was written to, has another stamp. */
export function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join();
}

/** The stamp of what is at a path now; of nothing: a text that no file has. */
export function stampAt(path: string): string {
  try {
    return stampOf(statSync(path, { bigint: true }));
  } catch {
    return "nothing";
  }
}
