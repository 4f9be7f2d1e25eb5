import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { MlxGemmaError } from "../../errors.js";
import { size } from "../../units.js";
import { INDEX } from "../file-names.js";
import { describe, isObject } from "../json.js";
import { readJson } from "../plain-file.js";
import { INDEX_LIMITS } from "../shards.js";
import type { HubClient } from "./client.js";
import { bytesHad, type DownloadContext, download } from "./download.js";
import { diskError, hubError } from "./errors.js";
import { type RepoFolder, snapshotFolder } from "./layout.js";
import { commitOf, filesOf, type RemoteFile } from "./listing.js";
import type { HubProgress, PlannedFile } from "./progress.js";
import { isPublished, publishAbsence, publishFile, publishRef, tagCache } from "./publish.js";
import { describeRepo } from "./repo-id.js";
import { CONFIG, EXPECTED, neededCompanions, neededShards, weightsEntry } from "./selection.js";
import { tidy } from "./tidy.js";

/** Files on their way at once. */
const AT_ONCE = 4;
/** Room that stays free. */
const SPARE = 64 * 1024 * 1024;

export interface FetchOptions {
  readonly client: HubClient;
  readonly repo: RepoFolder;
  readonly revision: string;
  readonly files: readonly string[] | undefined;
  readonly verify: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: HubProgress) => void;
}

/** Downloads what the cache lacks of a revision. @returns its commit, and the bytes that came over the network */
export async function fetchSnapshot(options: FetchOptions): Promise<{ commit: string; downloaded: number }> {
  const { client, repo, revision } = options;
  const { cache } = client.environment;
  const commit = await commitOf(client, { id: repo.id, revision });
  const listed = await filesOf(client, repo, commit);
  try {
    await tidy(cache, repo);
    await tagCache(cache);
    const downloaded = options.files
      ? await fetchFiles(options, commit, pick(listed, options.files))
      : await fetchCheckpoint(options, commit, listed);
    for (const name of options.files ?? [...EXPECTED, "chat_template.jinja"]) {
      if (!listed.has(name)) await publishAbsence(repo, commit, name);
    }
    await publishRef(repo, revision, commit);
    return { commit, downloaded };
  } catch (error) {
    throw error instanceof MlxGemmaError ? error : diskError(error, cache);
  }
}

/** The small files first: they say whether the weights are worth their time, and which shards there are. */
async function fetchCheckpoint(
  options: FetchOptions,
  commit: string,
  listed: ReadonlyMap<string, RemoteFile>,
): Promise<number> {
  const { repo } = options;
  const name = describeRepo({ id: repo.id, revision: options.revision });
  const entry = weightsEntry(listed);
  if (!listed.has(CONFIG) || entry === undefined) {
    const wanted = listed.has(CONFIG) ? "model.safetensors or its index" : CONFIG;
    throw hubError(
      name,
      `expected ${wanted} in the repository, found none; give one of safetensors, not GGUF or a library's own format`,
    );
  }
  const small = [...neededCompanions([...listed.keys()]), ...(entry === INDEX ? [INDEX] : [])];
  const first = await fetchFiles(options, commit, pick(listed, small));
  checkFamily(join(snapshotFolder(repo, commit), CONFIG), name);
  const shards = entry === INDEX ? shardsOf(join(snapshotFolder(repo, commit), INDEX)) : [entry];
  const missing = shards.find((shard) => !listed.has(shard));
  if (missing !== undefined) {
    throw hubError(
      name,
      `expected ${missing}, which ${INDEX} names, in the repository, found none; tell its owner, or take another repository`,
    );
  }
  return first + (await fetchFiles(options, commit, pick(listed, [...small, ...shards])));
}

async function fetchFiles(
  options: FetchOptions,
  commit: string,
  files: readonly RemoteFile[],
): Promise<number> {
  const { client, repo, onProgress, verify } = options;
  const plan = await Promise.all(files.map((file) => planned(options, commit, file)));
  onProgress({ type: "plan", id: repo.id, commit, files: plan });
  await checkRoom(client.environment.cache, plan);
  // The first failure ends the others: their bytes are kept for the next run.
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  const context: DownloadContext = {
    client,
    repo,
    commit,
    verify,
    signal,
    onBytes: (name, done) => onProgress({ type: "bytes", name, done }),
    onWaiting: (name, reason) => onProgress({ type: "waiting", name, reason }),
  };
  const rest = files.values();
  let downloaded = 0;
  let failure: unknown;
  const worker = async () => {
    for (const file of rest) {
      if (verify || !(await isPublished(repo, commit, file))) {
        // Not `downloaded += await`: that adds to what the sum was before the others' bytes came.
        const came = await download(context, file);
        downloaded += came;
        await publishFile(repo, commit, file, client.environment.symlinks);
      }
      onProgress({ type: "done", name: file.name });
    }
  };
  const workers = Array.from({ length: AT_ONCE }, () =>
    worker().catch((error: unknown) => {
      failure ??= error;
      failed.abort();
    }),
  );
  await Promise.all(workers);
  if (failure !== undefined) throw failure;
  return downloaded;
}

async function planned({ repo }: FetchOptions, commit: string, file: RemoteFile): Promise<PlannedFile> {
  const had = (await isPublished(repo, commit, file)) ? file.bytes : await bytesHad(repo, file);
  return { name: file.name, bytes: file.bytes, had };
}

/** Room for all of it is asked for before the first byte. */
async function checkRoom(cache: string, plan: readonly PlannedFile[]): Promise<void> {
  const needed = plan.reduce((sum, file) => sum + file.bytes - file.had, 0);
  if (needed === 0) return;
  const { bavail, bsize } = await statfs(cache);
  const free = bavail * bsize;
  const wanted = needed + SPARE;
  if (free >= wanted) return;
  throw new MlxGemmaError(
    "disk",
    `${cache}: expected ${size(wanted)} free for the download, found ${size(free)}; free some, or set HF_HOME to a larger disk`,
  );
}

/** Whether it is a Gemma 4 at all, before gigabytes of another model come. */
function checkFamily(file: string, name: string): void {
  const config = readJson(file);
  const type = isObject(config) ? config.model_type : undefined;
  if (typeof type === "string" && /^gemma4(?:_|$)/.test(type)) return;
  throw new MlxGemmaError(
    "checkpoint",
    `${name}: config.json: model_type: expected one of Gemma 4, found ${describe(type)}; its weights were not downloaded`,
  );
}

function shardsOf(index: string): string[] {
  const shards = neededShards(readJson(index, INDEX_LIMITS));
  if (shards) return shards;
  throw new MlxGemmaError(
    "checkpoint",
    `${index}: weight_map: expected names of .safetensors files beside it, found something else; take another repository`,
  );
}

function pick(listed: ReadonlyMap<string, RemoteFile>, names: readonly string[]): RemoteFile[] {
  return [...new Set(names)].flatMap((name) => listed.get(name) ?? []);
}
