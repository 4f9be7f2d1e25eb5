import { resolve } from "node:path";
import { type CheckpointFiles, folderFiles } from "../checkpoint/files.js";
import {
  checkRevision,
  describeRepo,
  isHubOnly,
  parseRepoId,
  type RepoRef,
} from "../checkpoint/hub/repo-id.js";
import { assistantCandidates } from "../checkpoint/known-pairs.js";
import { findAssistant, locateFolder, noAssistant } from "../checkpoint/locate.js";
import { isFolder } from "../checkpoint/plain-file.js";
import { MlxGemmaError } from "../errors.js";
import { type Inspected, inspectFiles } from "../inspect/open.js";
import type { Progress } from "./ui/progress.js";

export interface OpenerOptions {
  readonly offline?: true;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Opens checkpoints to be looked at, where they are: in a folder, in the hub's cache, or on the hub. */
export class CheckpointOpener implements AsyncDisposable {
  readonly #closing: (() => Promise<void>)[] = [];

  constructor(private readonly options: OpenerOptions) {}

  /**
   * Opens what a user names, the embedded target by default; a folder wins over a repository.
   *
   * @param revision of a repository, instead of the one in its name
   * @throws MlxGemmaError `checkpoint` for a path where nothing is, `hub`, `usage` or `aborted`.
   */
  async open(text?: string, revision?: string): Promise<Inspected> {
    return await inspectFiles(await this.#filesOf(text, revision));
  }

  /**
   * Opens the assistant that belongs to a target.
   *
   * @throws MlxGemmaError `checkpoint` or `hub` where there is none.
   */
  async openAssistantOf({ facts: { name, folder } }: Inspected): Promise<Inspected> {
    const found = folder === null ? undefined : findAssistant(folder);
    if (found) return await this.open(found.folder);
    const repo = parseRepoId(name);
    if (!repo) throw noAssistant(name);
    const { MissingRepoError } = await import("../checkpoint/hub/failures.js");
    const candidates = assistantCandidates(repo.id);
    for (const candidate of candidates) {
      try {
        return await this.open(candidate);
      } catch (error) {
        if (!(error instanceof MissingRepoError)) throw error;
      }
    }
    throw new MlxGemmaError(
      "hub",
      `${name}: expected its assistant on the hub as ${candidates.join(", ")}, found none; give its name: --pair org/name`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) await close();
  }

  async #filesOf(text: string | undefined, revision: string | undefined): Promise<CheckpointFiles> {
    const { offline, progress, signal } = this.options;
    const there = text !== undefined && !isHubOnly(text) && isFolder(text);
    // A folder without a config.json can be looked at, too.
    if (there) return folderFiles(resolve(text));
    const ref = text === undefined ? undefined : parseRepoId(text);
    if (!ref) return folderFiles(locateFolder(text));
    const repo = { id: ref.id, revision: checkRevision(revision ?? ref.revision ?? "main") };
    const cached = await cachedFolder(repo, offline);
    if (cached !== undefined) return folderFiles(cached, describeRepo(repo));
    progress.say(`reading the headers of ${describeRepo(repo)}`);
    // The hub's code is loaded for those who ask for it.
    const { openRemote } = await import("../checkpoint/hub/index.js");
    const files = await openRemote(repo, { signal, onWaiting: (reason) => progress.note(reason) });
    this.#closing.push(() => files.close());
    return files;
  }
}

/** @throws MlxGemmaError `hub` where the network is forbidden and the cache does not have it whole */
async function cachedFolder(
  { id, revision }: RepoRef,
  offline: true | undefined,
): Promise<string | undefined> {
  const { findCachedRepo, isOffline, resolveRepo } = await import("../checkpoint/hub/index.js");
  const cached = findCachedRepo(id, revision);
  if (cached || !(offline ?? isOffline())) return cached?.folder;
  return (await resolveRepo(id, { revision, offline })).folder;
}
