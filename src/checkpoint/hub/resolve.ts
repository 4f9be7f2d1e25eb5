import { MlxGemmaError } from "../../errors.js";
import { findCachedRepo, lookUp } from "./cached.js";
import { HubClient } from "./client.js";
import { type HubEnvironment, hubEnvironment } from "./environment.js";
import { hubError } from "./errors.js";
import { MissingRepoError } from "./failures.js";
import { fetchSnapshot } from "./fetch-snapshot.js";
import { type RepoFolder, repoFolder, snapshotFolder } from "./layout.js";
import type { HubProgress } from "./progress.js";
import { COMMIT, checkRevision, describeRepo, parseRepoId } from "./repo-id.js";
import { throwIfDownloadAborted } from "./waiting.js";

export interface ResolveOptions {
  /** Branch, tag or commit; default: the one in the id (`org/name@revision`), else `main`. */
  readonly revision?: string | undefined;
  /** Take what the cache has and never ask the network; default: HF_HUB_OFFLINE. */
  readonly offline?: boolean | undefined;
  /** Ask the hub where the revision stands now, even if the cache has it whole. */
  readonly refresh?: boolean | undefined;
  /** Hash what the cache has, and fetch anew what is broken; implies `refresh`. */
  readonly verify?: boolean | undefined;
  /** Names of the only files wanted; those that the repository has not are passed over. Default: all needed ones. */
  readonly files?: readonly string[] | undefined;
  /** Told from the plan to the last byte. */
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
  /** Ends the download with an `aborted` error; what is there is kept, and the next call goes on from it. */
  readonly signal?: AbortSignal | undefined;
  /** Instead of the process' environment. */
  readonly environment?: HubEnvironment | undefined;
}

/** Where a repository's files lie. */
export interface ResolvedRepo {
  /** `org/name`. */
  readonly id: string;
  readonly revision: string;
  readonly commit: string;
  /** Folder of the snapshot. */
  readonly folder: string;
  /** Bytes that came over the network; 0: all was in the cache. */
  readonly downloaded: number;
}

/**
 * Finds a repository of the hub in the cache, or downloads what is missing of it. A snapshot that the cache holds
 * whole is taken as it is, without asking the network whether the revision has moved (`refresh` asks).
 *
 * @param text `org/name`, `org/name@revision`, or the same behind `hf://`
 * @throws MlxGemmaError `hub`, `disk`, `aborted`, or `usage` for what names no repository
 */
export async function resolveRepo(text: string, options: ResolveOptions = {}): Promise<ResolvedRepo> {
  const ref = parseRepoId(text);
  if (!ref)
    throw new MlxGemmaError("usage", `expected a repository's name, org/name, found ${JSON.stringify(text)}`);
  const revision = checkRevision(options.revision ?? ref.revision ?? "main");
  const environment = options.environment ?? hubEnvironment();
  const repo = repoFolder(environment.cache, ref.id);
  const found = lookUp(repo, revision, options.files);
  const offline = options.offline ?? environment.offline;
  const { commit } = found;
  if (
    commit !== undefined &&
    found.missing.length === 0 &&
    (offline || !(options.verify || (options.refresh && !COMMIT.test(revision))))
  ) {
    return { id: ref.id, revision, commit, folder: found.folder, downloaded: 0 };
  }
  if (offline) throw notCached(repo, revision, found, options);
  throwIfDownloadAborted(options.signal);
  const onProgress = options.onProgress ?? (() => {});
  const client = new HubClient(environment, options.signal, (reason, { file }) =>
    onProgress({ type: "waiting", reason, ...(file === undefined ? {} : { name: file }) }),
  );
  try {
    const { files, signal, verify = false } = options;
    const fetched = await fetchSnapshot({ client, repo, revision, files, verify, signal, onProgress });
    const folder = snapshotFolder(repo, fetched.commit);
    return { id: ref.id, revision, folder, ...fetched };
  } finally {
    await client.close();
  }
}

/**
 * The first of several repositories that there is: one that the cache has whole, else one that the hub has. For names
 * that are guessed, such as those of `assistantCandidates`.
 *
 * @returns undefined when there is none; offline: none in the cache
 * @throws MlxGemmaError as {@link resolveRepo}, but not for a repository that does not exist
 */
export async function resolveFirst(
  names: readonly string[],
  options: ResolveOptions = {},
): Promise<ResolvedRepo | undefined> {
  const environment = options.environment ?? hubEnvironment();
  const cached = names.find((name) => {
    const ref = parseRepoId(name);
    return ref && findCachedRepo(ref.id, options.revision ?? ref.revision, environment.cache);
  });
  if (cached !== undefined) return resolveRepo(cached, options);
  if (options.offline ?? environment.offline) return undefined;
  for (const name of names) {
    try {
      return await resolveRepo(name, options);
    } catch (error) {
      if (!(error instanceof MissingRepoError)) throw error;
    }
  }
  return undefined;
}

function notCached(
  repo: RepoFolder,
  revision: string,
  { commit, missing }: ReturnType<typeof lookUp>,
  { offline: asked, refresh }: ResolveOptions,
): MlxGemmaError {
  const name = describeRepo({ id: repo.id, revision });
  const why = asked ? "the option offline" : "HF_HUB_OFFLINE";
  const rest = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
  const found = commit === undefined ? "nothing" : `a part (${missing[0]}${rest} is missing)`;
  // Who asks the hub anew wants to download it here and now.
  const advice = refresh ? `do without ${why}` : `run mlx-gemma pull ${name} with a network first`;
  return hubError(
    name,
    `expected it whole in the cache (${repo.folder}), as ${why} forbids the network, found ${found}; ${advice}`,
  );
}
