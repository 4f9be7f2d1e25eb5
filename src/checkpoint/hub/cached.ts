import { statSync } from "node:fs";
import { join } from "node:path";
import { INDEX, WEIGHTS } from "../file-names.js";
import { isObject } from "../json.js";
import { isFile, readJson } from "../plain-file.js";
import { INDEX_LIMITS } from "../shards.js";
import { cacheFolder } from "./environment.js";
import {
  cachedIds,
  filesBelow,
  noExistPath,
  type RepoFolder,
  readRef,
  readRefs,
  repoFolder,
  snapshotFolder,
  snapshots,
} from "./layout.js";
import { checkRevision } from "./repo-id.js";
import { CONFIG, EXPECTED, neededShards } from "./selection.js";

/** A snapshot in the cache that holds all that is needed. */
export interface CachedRepo {
  /** Folder of the snapshot. */
  readonly folder: string;
  readonly commit: string;
}

/**
 * Looks a repository up in the cache; the network is not asked. A snapshot that lacks a needed file is not found.
 *
 * @param id `org/name`
 * @param revision branch, tag or commit; default `main`
 * @param cache default: the environment's
 */
export function findCachedRepo(id: string, revision = "main", cache = cacheFolder()): CachedRepo | undefined {
  const { commit, folder, missing } = lookUp(repoFolder(cache, id), checkRevision(revision));
  return commit !== undefined && missing.length === 0 ? { folder, commit } : undefined;
}

/** What the cache has of a revision. */
export interface Lookup {
  /** undefined: nothing is known of the revision. */
  readonly commit: string | undefined;
  readonly folder: string;
  /** Needed files that are not there. */
  readonly missing: readonly string[];
}

/** As {@link findCachedRepo}, with what is missing. */
export function lookUp(repo: RepoFolder, revision: string, files?: readonly string[]): Lookup {
  const commit = readRef(repo, revision);
  if (commit === undefined) return { commit, folder: repo.folder, missing: files ?? [CONFIG] };
  const folder = snapshotFolder(repo, commit);
  return { commit, folder, missing: files ? missingOf(repo, commit, files) : missingFiles(repo, commit) };
}

function missingFiles(repo: RepoFolder, commit: string): string[] {
  const folder = snapshotFolder(repo, commit);
  const missing = missingOf(repo, commit, EXPECTED);
  if (!isFile(join(folder, CONFIG))) missing.unshift(CONFIG);
  if (isFile(join(folder, WEIGHTS))) return missing;
  const index = join(folder, INDEX);
  if (!isFile(index)) return [...missing, WEIGHTS];
  const shards = shardsOf(index);
  return [...missing, ...(shards ? shards.filter((shard) => !isFile(join(folder, shard))) : [INDEX])];
}

/** Those that are neither there nor known not to exist. */
function missingOf(repo: RepoFolder, commit: string, names: readonly string[]): string[] {
  const folder = snapshotFolder(repo, commit);
  const absent = names.filter(
    (name) => !isFile(join(folder, name)) && !isFile(noExistPath(repo, commit, name)),
  );
  if (absent.length === 0) return [];
  const tree = readTree(repo, commit);
  return tree ? absent.filter((name) => tree.has(name)) : absent;
}

function shardsOf(index: string): string[] | undefined {
  try {
    return neededShards(readJson(index, INDEX_LIMITS));
  } catch {
    return undefined;
  }
}

/** Names of all files of a commit, where Python's huggingface_hub has written them down. */
function readTree(repo: RepoFolder, commit: string): ReadonlySet<string> | undefined {
  const file = join(repo.folder, "trees", `${commit}.json`);
  if (!isFile(file)) return undefined;
  try {
    const json = readJson(file);
    return isObject(json) && json.format_version === 1 && isObject(json.files)
      ? new Set(Object.keys(json.files))
      : undefined;
  } catch {
    return undefined;
  }
}

/** A commit of a repository that has a folder in the cache. */
export interface CachedSnapshot extends CachedRepo {
  /** `org/name`. */
  readonly id: string;
  /** Branches and tags that stand at it, as far as the cache knows. */
  readonly revisions: readonly string[];
  /** Needed files that are not there; empty: it can be loaded. */
  readonly missing: readonly string[];
  /** Bytes of all its files, links followed. */
  readonly bytes: number;
}

/** All snapshots of models in the cache, whole or not, Gemma or not; sorted by id. */
export function listCached(cache = cacheFolder()): CachedSnapshot[] {
  return cachedIds(cache).flatMap((id) => {
    const repo = repoFolder(cache, id);
    const refs = readRefs(repo);
    return snapshots(repo).map((commit): CachedSnapshot => {
      const folder = snapshotFolder(repo, commit);
      const missing = missingFiles(repo, commit);
      return { id, commit, folder, revisions: refs.get(commit) ?? [], missing, bytes: bytesOf(folder) };
    });
  });
}

function bytesOf(folder: string): number {
  const sizes = new Map<string, number>();
  for (const name of filesBelow(folder)) {
    const stats = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stats?.isFile()) sizes.set(`${stats.dev}:${stats.ino}`, stats.size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
