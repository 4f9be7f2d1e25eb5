import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MlxGemmaError } from "../../errors.js";
import { size } from "../../units.js";
import type { HubClient, HubResponse } from "./client.js";
import { type Digest, hasher, hashFile } from "./digest.js";
import { diskError, hubError } from "./errors.js";
import { nameOf, networkError, type Subject } from "./failures.js";
import type { RepoFolder } from "./layout.js";
import type { RemoteFile } from "./listing.js";
import { type BlobLock, takeLock } from "./lock.js";
import { PartialBlob, partialPath } from "./partial.js";
import { lockPath } from "./tidy.js";
import { throwIfDownloadAborted } from "./waiting.js";

/** Connections in a row that may break without bringing a byte. */
const FRUITLESS = 5;
/** Times that a file whose bytes are wrong is fetched anew. */
const FRESH_STARTS = 2;
/** Bytes whose reading back takes so long that a user should know of it. */
const LONG_READ = 256 * 1024 * 1024;

export interface DownloadContext {
  readonly client: HubClient;
  readonly repo: RepoFolder;
  readonly commit: string;
  /** Hash blobs that are there already, and fetch anew what is broken. */
  readonly verify: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (name: string, done: number) => void;
  readonly onWaiting: (name: string, reason: string) => void;
}

/** Path of a file's bytes in the cache. */
export function blobPath(repo: RepoFolder, file: RemoteFile): string {
  return join(repo.blobs, file.digest.hex);
}

/** Bytes of a file that need not come over the network. */
export async function bytesHad(repo: RepoFolder, file: RemoteFile): Promise<number> {
  const blob = blobPath(repo, file);
  if ((await sizeOf(blob)) === file.bytes) return file.bytes;
  const size = (await sizeOf(partialPath(blob))) ?? 0;
  return size <= file.bytes ? size : 0;
}

/**
 * Brings a file's bytes under their final name, where they are whole and hashed, or not at all.
 *
 * @returns bytes that came over the network
 * @throws MlxGemmaError `hub`, `disk` or `aborted`; what is there is kept for the next run
 */
export async function download(context: DownloadContext, file: RemoteFile): Promise<number> {
  const { repo, signal } = context;
  const blob = blobPath(repo, file);
  try {
    await mkdir(repo.blobs, { recursive: true });
    if (context.verify) await dropBroken(context, blob, file);
    const lock = await takeLock(lockPath(repo, file.digest.hex), {
      patience: context.client.environment.patience,
      signal,
      isDone: async () => (await sizeOf(blob)) === file.bytes,
      onWait: (owner) => context.onWaiting(file.name, `${owner} downloads it already`),
    });
    if (!lock) {
      context.onBytes(file.name, file.bytes);
      return 0;
    }
    try {
      return await underLock(context, file, blob, lock);
    } finally {
      await lock.release();
    }
  } catch (error) {
    throwIfDownloadAborted(signal);
    throw error instanceof MlxGemmaError ? error : diskError(error, repo.folder);
  }
}

async function underLock(
  context: DownloadContext,
  file: RemoteFile,
  blob: string,
  lock: BlobLock,
): Promise<number> {
  // The owner before may have finished between our look and our lock.
  if ((await sizeOf(blob)) === file.bytes) return 0;
  const had = (await sizeOf(partialPath(blob))) ?? 0;
  if (had >= LONG_READ) context.onWaiting(file.name, `hashing the ${size(had)} that are there`);
  const partial = await PartialBlob.open(file, blob, lock, context.signal);
  try {
    context.onBytes(file.name, partial.done);
    let came = 0;
    for (let starts = 0; ; starts++) {
      came += await fill(context, file, partial);
      if (partial.fits()) break;
      await partial.restart();
      if (starts >= FRESH_STARTS - 1) throw mismatch(subjectOf(context, file), file);
      context.onWaiting(file.name, "its bytes are not those announced, fetching it anew");
      context.onBytes(file.name, 0);
    }
    if (await partial.publish(blob, lock)) return came;
  } finally {
    await partial.close();
  }
  throw hubError(
    nameOf(subjectOf(context, file)),
    "another process took the download over while this one slept; run again",
  );
}

/** Fetches until all bytes are there, across broken connections. @returns bytes that came */
async function fill(context: DownloadContext, file: RemoteFile, partial: PartialBlob): Promise<number> {
  const { client, signal } = context;
  const subject = subjectOf(context, file);
  let came = 0;
  for (let fruitless = 0; partial.done < file.bytes; ) {
    const response = await client.get(addressOf(context, file), {
      subject,
      headers: rangeFrom(partial),
      signal,
    });
    const before = partial.done;
    try {
      await begin(response, partial, file, subject);
      const start = partial.done;
      const failure = await append(context, response, file, partial);
      came += partial.done - start;
      throwIfDownloadAborted(signal);
      if (partial.done === file.bytes) break;
      fruitless = partial.done > before ? 0 : fruitless + 1;
      if (fruitless > FRUITLESS) {
        throw networkError(
          failure ?? new Error("closed early"),
          subject,
          response.url,
          client.environment.proxy(response.url),
        );
      }
    } finally {
      response.giveUp();
    }
    await client.waitAfterCut(fruitless + 1, { subject, signal });
  }
  return came;
}

/** `If-Range`: a server whose file has changed sends all of the new one instead of a rest that does not fit. */
function rangeFrom({ done, etag }: PartialBlob): Record<string, string> {
  if (done === 0) return {};
  const strong = etag !== undefined && etag !== "" && !etag.startsWith("W/");
  return { range: `bytes=${done}-`, ...(strong ? { "if-range": etag } : {}) };
}

/** Makes the partial file ready for the bytes that an answer brings. */
async function begin(
  response: HubResponse,
  partial: PartialBlob,
  file: RemoteFile,
  subject: Subject,
): Promise<void> {
  const etag = response.header("etag") ?? "";
  const coding = response.header("content-encoding") ?? "identity";
  const isPage = /^text\/html/i.test(response.header("content-type") ?? "");
  const linked = /^"?([0-9a-f]{40}|[0-9a-f]{64})"?$/.exec(
    response.endpointHeader("x-linked-etag") ?? "",
  )?.[1];
  if (linked !== undefined && linked !== file.digest.hex) {
    throw strange(
      response,
      subject,
      `the file that was listed (${short(file.digest)}), found another (${linked.slice(0, 12)}…)`,
    );
  }
  if (coding !== "identity")
    throw strange(response, subject, `bytes as they are, found them coded as ${coding}`);
  if (response.status === 206) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.header("content-range") ?? "") ?? [];
    const fits = Number(from) === partial.done && (total === "*" || Number(total) === file.bytes);
    const same = weak(etag) === weak(partial.etag ?? "");
    if (fits && same && partial.done > 0) return;
  }
  // 200: all of it, for what was there is of another version, or the server knows no ranges.
  await partial.restart();
  if (response.status !== 200) return;
  const length = response.header("content-length");
  if (length !== undefined && Number(length) !== file.bytes) {
    throw strange(response, subject, `${file.bytes} bytes, found ${isPage ? "a web page" : `${length}`}`);
  }
  await partial.begin(etag);
}

/** Appends an answer's bytes. @returns what broke the connection */
async function append(
  context: DownloadContext,
  response: HubResponse,
  file: RemoteFile,
  partial: PartialBlob,
): Promise<unknown> {
  // After a restart without a 200 there is nothing to take: the next request asks for all.
  if (partial.etag === undefined) return undefined;
  const body = response.body[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await body.next();
    } catch (error) {
      return error;
    }
    if (next.done) return undefined;
    if (!(await partial.write(next.value))) {
      await partial.restart();
      throw strange(response, subjectOf(context, file), `${file.bytes} bytes, found more`);
    }
    context.onBytes(file.name, partial.done);
  }
}

function weak(etag: string): string {
  return etag.replace(/^W\//, "");
}

function addressOf({ client, repo, commit }: DownloadContext, file: RemoteFile): string {
  const base = client.environment.endpoint.href.replace(/\/+$/, "");
  return `${base}/${repo.id}/resolve/${commit}/${encodeURIComponent(file.name)}`;
}

function subjectOf({ repo }: DownloadContext, file: RemoteFile): Subject {
  return { id: repo.id, file: file.name };
}

async function sizeOf(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
}

/** Moves a blob that is not what its name says out of the way, so that it is fetched anew. */
async function dropBroken(context: DownloadContext, blob: string, file: RemoteFile): Promise<void> {
  if ((await sizeOf(blob)) !== file.bytes) return;
  if (file.bytes >= LONG_READ) context.onWaiting(file.name, `hashing the ${size(file.bytes)} that are there`);
  const hash = hasher(file.digest, file.bytes);
  await hashFile(blob, hash, context.signal);
  if (hash.fits()) return;
  // Under another name first: who has it open keeps what it reads.
  const broken = `${blob}.broken.incomplete`;
  await rename(blob, broken);
  await rm(broken, { force: true });
}

function strange(response: HubResponse, subject: Subject, expectedAndFound: string): MlxGemmaError {
  return hubError(
    nameOf(subject),
    `expected ${expectedAndFound} at ${response.url.host}; check HF_ENDPOINT, and whether the network asks for a login in a browser`,
  );
}

function mismatch(subject: Subject, { digest }: RemoteFile): MlxGemmaError {
  return hubError(
    nameOf(subject),
    `expected ${short(digest)}, found another, twice; nothing of it was kept: try again later, or check the proxy and HF_ENDPOINT`,
  );
}

function short({ algorithm, hex }: Digest): string {
  return `${algorithm === "git" ? "git hash" : "sha256"} ${hex.slice(0, 12)}…`;
}
