import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { RepoFolder } from "./layout.js";
import { isLocked, removeDeadLocks } from "./lock.js";
import { removeTemporaries } from "./temporary.js";

/**
 * Removes what killed downloads left, but for bytes that the next one goes on with. What can't be removed stays: it is in
 * nobody's way.
 */
export async function tidy(cache: string, repo: RepoFolder): Promise<void> {
  const steps = [
    () => removeDeadLocks(repo.locks),
    () => removeTemporaries(cache),
    () => removeTemporaries(repo.folder),
    () => removeTemporaries(repo.blobs),
    () => removeTemporaries(repo.locks),
    () => removeNeedless(repo),
  ];
  for (const step of steps) await step().catch(() => {});
}

/** A blob that is whole needs no rest of its download any more. */
async function removeNeedless(repo: RepoFolder): Promise<void> {
  for (const name of await readdir(repo.blobs)) {
    const [, hash] = /^([0-9a-f]+)\.(?:mlx-gemma(?:\.etag)?|broken)\.incomplete$/.exec(name) ?? [];
    if (hash === undefined) continue;
    const whole = await stat(join(repo.blobs, hash)).then(
      () => true,
      () => false,
    );
    if (!whole || (await isLocked(lockPath(repo, hash)))) continue;
    await rm(join(repo.blobs, name), { force: true });
  }
}

/** The lock of a blob's download. */
export function lockPath(repo: RepoFolder, hash: string): string {
  return join(repo.locks, `${hash}.mlx-gemma.lock`);
}
