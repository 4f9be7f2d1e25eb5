import {
  copyFile,
  link,
  lstat,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { blobPath } from "./download.js";
import { errorCode } from "./errors.js";
import { noExistPath, type RepoFolder, refPath, snapshotFolder } from "./layout.js";
import type { RemoteFile } from "./listing.js";
import { temporaryPath } from "./temporary.js";

/** What backup tools look for to pass a folder over. https://bford.info/cachedir/ */
const CACHE_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of the Hugging Face hub.\n";

/** Whether a snapshot has a file of the announced size. */
export async function isPublished(repo: RepoFolder, commit: string, file: RemoteFile): Promise<boolean> {
  const stats = await stat(join(snapshotFolder(repo, commit), file.name)).catch(() => undefined);
  return stats?.isFile() === true && stats.size === file.bytes;
}

/**
 * Puts a file whose blob is whole into a commit's folder: a relative symbolic link; where there can be none, a hard
 * link, else a copy.
 */
export async function publishFile(
  repo: RepoFolder,
  commit: string,
  file: RemoteFile,
  symlinks: boolean,
): Promise<void> {
  const blob = blobPath(repo, file);
  const path = join(snapshotFolder(repo, commit), file.name);
  const target = relative(dirname(path), blob);
  const there = await lstat(path).catch(() => undefined);
  const right = there?.isSymbolicLink() ? (await readlink(path)) === target : false;
  if (right || (there?.isFile() && (await isPublished(repo, commit, file)))) return;
  await mkdir(dirname(path), { recursive: true });
  await inOneStep(repo.folder, path, async (temporary) => {
    if (symlinks && (await tried(() => symlink(target, temporary)))) return;
    if (await tried(() => link(blob, temporary))) return;
    await copyFile(blob, temporary);
  });
}

/** Writes down that a commit has no such file, so that nobody asks again. */
export async function publishAbsence(repo: RepoFolder, commit: string, name: string): Promise<void> {
  const path = noExistPath(repo, commit, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "", { flag: "a" });
}

/** Writes down the commit that a revision stands at. Comes last: until then an older snapshot stays the one in use. */
export async function publishRef(repo: RepoFolder, revision: string, commit: string): Promise<void> {
  const path = refPath(repo, revision);
  if (revision === commit || (await readFile(path, "utf8").catch(() => "")) === commit) return;
  await mkdir(dirname(path), { recursive: true });
  await inOneStep(repo.folder, path, (temporary) => writeFile(temporary, commit));
}

/** Marks the cache as one. */
export async function tagCache(cache: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const path = join(cache, "CACHEDIR.TAG");
  if (await lstat(path).catch(() => undefined)) return;
  await tried(() => inOneStep(cache, path, (temporary) => writeFile(temporary, CACHE_TAG)));
}

/** Makes something under another name and then moves it, so that nobody sees it unfinished. */
async function inOneStep(
  folder: string,
  path: string,
  make: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryPath(folder);
  try {
    await make(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Whether a step worked. A system that can't do it is no error; a full disk or a missing permission to write is. */
async function tried(step: () => Promise<void>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    if (["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(errorCode(error))) throw error;
    return false;
  }
}
