import { isHubOnly, parseRepoId, type ResolveOptions, resolveFirst, resolveRepo } from "./hub/index.js";
import { assistantCandidates } from "./known-pairs.js";
import { type FoundAssistant, findAssistant, locateFolder, nameOfFolder, noAssistant } from "./locate.js";
import { isPresent } from "./plain-file.js";

/** How a checkpoint on the hub is got. */
export type LocateOptions = Pick<
  ResolveOptions,
  "revision" | "offline" | "onProgress" | "signal" | "environment"
>;

/**
 * The folder of a checkpoint that a user names: a folder of this machine, or a repository of the hub (`org/name`,
 * `org/name@revision`), which is downloaded where the cache does not have it. A folder wins over a repository of the
 * same name: `hf://org/name` is the repository in any case, `./org/name` the folder. Nothing given: the embedded
 * target.
 *
 * @throws MlxGemmaError `checkpoint` for a path where nothing is, `hub`, `disk`, `usage` or `aborted`.
 */
export async function locateCheckpoint(text?: string, options: LocateOptions = {}): Promise<string> {
  if (text === undefined) return locateFolder();
  // The folder first: its name may be one that no repository can have.
  const there = !isHubOnly(text) && isPresent(text);
  if (!there && parseRepoId(text)) {
    return (await resolveRepo(text, options)).folder;
  }
  return locateFolder(text);
}

/**
 * The assistant that belongs to a target's folder, and why it is that one: {@link findAssistant}; else the first
 * repository of {@link assistantCandidates} that the cache has, or else the hub.
 *
 * @throws MlxGemmaError `checkpoint` that tells where it looked, or as {@link locateCheckpoint}.
 */
export async function locateAssistant(
  targetFolder: string,
  options: Omit<LocateOptions, "revision"> = {},
): Promise<FoundAssistant> {
  const found = findAssistant(targetFolder);
  if (found) return found;
  const name = nameOfFolder(targetFolder);
  const candidates = candidatesOf(name);
  const repo = candidates.length > 0 ? await resolveFirst(candidates, options) : undefined;
  if (!repo)
    throw noAssistant(targetFolder, candidates.length > 0 ? [`the hub as ${candidates.join(", ")}`] : []);
  const from = repo.downloaded > 0 ? "downloaded" : "in the hub's cache";
  return { folder: repo.folder, why: `${repo.id}, the assistant for ${name}, ${from}`, guessed: true };
}

/**
 * What may be asked of the hub. The folder of a checkpoint that did not come from there has no organisation: only the
 * makers' names are asked for, since anybody may own the others.
 */
function candidatesOf(name: string): string[] {
  if (name.includes("/")) return assistantCandidates(name);
  const nobody = "local";
  return assistantCandidates(`${nobody}/${name}`).filter((id) => !id.startsWith(`${nobody}/`));
}
