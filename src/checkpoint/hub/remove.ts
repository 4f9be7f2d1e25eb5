import { randomUUID } from "node:crypto";
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { rename, rm, rmdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { diskError, hubError } from "./errors.js";
import {
  filesBelow,
  noExistPath,
  type RepoFolder,
  readRef,
  readRefs,
  refPath,
  repoFolder,
  snapshotFolder,
  snapshots,
} from "./layout.js";
import { isLocked } from "./lock.js";
import { describeRepo } from "./repo-id.js";

/** What is removed from the cache: a repository, or one snapshot with the bytes that no other one uses. */
export interface Removal {
  readonly id: string;
  /** Bytes on disk that come free. */
  readonly bytes: number;
  /** Removes it. @throws MlxGemmaError `disk` when that is not permitted */
  run(): Promise<void>;
}

/**
 * Plans a removal; nothing is touched before `run`.
 *
 * @param revision branch, tag or commit of the only snapshot to remove; absent: all of the repository
 * @throws MlxGemmaError `hub` when the cache has no such thing, or a download of it is running
 */
export async function removeCached(cache: string, id: string, revision?: string): Promise<Removal> {
  const repo = repoFolder(cache, id);
  const name = describeRepo(revision === undefined ? { id } : { id, revision });
  const found = snapshots(repo);
  const commit = revision === undefined ? undefined : readRef(repo, revision);
  const isThere =
    revision === undefined ? exists(repo.folder) : commit !== undefined && found.includes(commit);
  if (!isThere)
    throw hubError(
      name,
      `expected it in the cache (${repo.folder}), found nothing; mlx-gemma models lists what there is`,
    );
  const locks = filesBelow(repo.locks).filter((file) => file.endsWith(".mlx-gemma.lock"));
  for (const lock of locks) {
    if (await isLocked(join(repo.locks, lock)))
      throw hubError(name, "it is being downloaded; end that first");
  }
  if (commit === undefined || (found.length === 1 && found[0] === commit)) return wholeRepo(cache, repo);
  return oneSnapshot(repo, commit);
}

function wholeRepo(cache: string, repo: RepoFolder): Removal {
  const bytes = filesBelow(repo.folder).reduce((sum, file) => sum + sizeOf(join(repo.folder, file)), 0);
  return {
    id: repo.id,
    bytes,
    run: () =>
      guarded(repo, async () => {
        // Under another name first: a removal that is cut short must leave nothing that looks whole.
        const gone = join(cache, `.removed-${randomUUID()}`);
        await rename(repo.folder, gone);
        await rm(gone, { recursive: true, force: true });
        await rm(repo.locks, { recursive: true, force: true });
      }),
  };
}

function oneSnapshot(repo: RepoFolder, commit: string): Removal {
  const others = new Set(snapshots(repo).flatMap((other) => (other === commit ? [] : blobsOf(repo, other))));
  const own = [...new Set(blobsOf(repo, commit))].filter((blob) => !others.has(blob));
  const folder = snapshotFolder(repo, commit);
  const plain = filesBelow(folder).map((file) => join(folder, file));
  const bytes = [...own.map((blob) => join(repo.blobs, blob)), ...plain].reduce(
    (sum, path) => sum + sizeOf(path),
    0,
  );
  return {
    id: repo.id,
    bytes,
    run: () =>
      guarded(repo, async () => {
        for (const ref of readRefs(repo).get(commit) ?? []) await rm(refPath(repo, ref), { force: true });
        const gone = join(repo.folder, `.removed-${randomUUID()}`);
        await rename(folder, gone);
        await rm(gone, { recursive: true, force: true });
        await rm(noExistPath(repo, commit, "."), { recursive: true, force: true });
        await rm(join(repo.folder, "trees", `${commit}.json`), { force: true });
        for (const blob of own) await rm(join(repo.blobs, blob), { force: true });
        await rmdir(join(repo.folder, ".no_exist")).catch(() => {});
      }),
  };
}

/** Names of the blobs that a snapshot's links lead to. */
function blobsOf(repo: RepoFolder, commit: string): string[] {
  const folder = snapshotFolder(repo, commit);
  return filesBelow(folder).flatMap((file) => {
    try {
      const target = readlinkSync(join(folder, file)).replaceAll("\\", "/");
      return /(?:^|\/)blobs\/[^/]+$/.test(target) ? [basename(target)] : [];
    } catch {
      return [];
    }
  });
}

/** Bytes of a file that come free with it: none of a link. */
function sizeOf(path: string): number {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.size : 0;
}

function exists(folder: string): boolean {
  try {
    readdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

async function guarded(repo: RepoFolder, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    throw diskError(error, repo.folder);
  }
}
