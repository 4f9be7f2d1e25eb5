import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { COMMIT } from "./repo-id.js";

/**
 * Where things lie in the cache, as Python's huggingface_hub lays them:
 *
 *     <cache>/models--org--name/
 *       blobs/<sha256 or git sha1>          the bytes
 *       refs/<revision>                     the commit a branch or tag stood at
 *       snapshots/<commit>/<file>           → ../../blobs/…
 *       .no_exist/<commit>/<file>           empty: that commit has no such file
 *       trees/<commit>.json                 all files of a commit (huggingface_hub 2)
 *     <cache>/.locks/models--org--name/
 */
export interface RepoFolder {
  /** `org/name`. */
  readonly id: string;
  readonly folder: string;
  readonly blobs: string;
  readonly locks: string;
}

/** The folder of a repository; nothing is created. */
export function repoFolder(cache: string, id: string): RepoFolder {
  const name = `models--${id.replaceAll("/", "--")}`;
  const folder = join(cache, name);
  return { id, folder, blobs: join(folder, "blobs"), locks: join(cache, ".locks", name) };
}

/** Folder of a commit's files. */
export function snapshotFolder(repo: RepoFolder, commit: string): string {
  return join(repo.folder, "snapshots", commit);
}

/** Path of the mark that a commit has no such file. */
export function noExistPath(repo: RepoFolder, commit: string, name: string): string {
  return join(repo.folder, ".no_exist", commit, name);
}

/** Path of the file that holds a revision's commit. */
export function refPath(repo: RepoFolder, revision: string): string {
  return join(repo.folder, "refs", ...revision.split("/"));
}

/** The commit that a revision stood at when it was last asked for; a commit is itself. */
export function readRef(repo: RepoFolder, revision: string): string | undefined {
  if (COMMIT.test(revision)) return revision;
  try {
    const commit = readFileSync(refPath(repo, revision), "utf8").trim();
    return COMMIT.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/** All revisions of a repository by the commit they stand at. */
export function readRefs(repo: RepoFolder): Map<string, string[]> {
  const refs = new Map<string, string[]>();
  const root = join(repo.folder, "refs");
  for (const entry of filesBelow(root)) {
    const commit = readRef(repo, entry);
    if (commit !== undefined) refs.set(commit, [...(refs.get(commit) ?? []), entry]);
  }
  return refs;
}

/** Commits that have a folder. */
export function snapshots(repo: RepoFolder): string[] {
  return entries(join(repo.folder, "snapshots")).filter((name) => COMMIT.test(name));
}

/** Ids of the repositories of models that have a folder in a cache, sorted. */
export function cachedIds(cache: string): string[] {
  return entries(cache)
    .flatMap((name) => /^models--([\w.-]+?)--([\w.-]+)$/.exec(name)?.slice(1).join("/") ?? [])
    .sort();
}

/** Paths of the files below a folder, with `/` between the names, links not followed. */
export function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
  } catch {
    return [];
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
