import type { CheckpointFiles } from "../files.js";
import { HubClient, type HubResponse } from "./client.js";
import { type HubEnvironment, hubEnvironment } from "./environment.js";
import { hubError, printable } from "./errors.js";
import { nameOf, type Subject } from "./failures.js";
import { commitOf, filesOf } from "./listing.js";
import { describeRepo, type RepoRef } from "./repo-id.js";

/** Tries of one range whose connection breaks. */
const TRIES = 4;

export interface RemoteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told why nothing moves. */
  readonly onWaiting?: ((reason: string) => void) | undefined;
  /** Instead of the process' environment. */
  readonly environment?: HubEnvironment | undefined;
}

/** A repository's files, read where they are. */
export interface RemoteFiles extends CheckpointFiles {
  /** All reads come from this commit, whatever the revision does meanwhile. */
  readonly commit: string;
  /** Closes all connections. */
  close(): Promise<void>;
}

/**
 * Opens a repository of the hub for reading in part, by ranges; nothing is stored.
 *
 * @throws MlxGemmaError `hub`, `aborted`, or `usage` for what the environment says.
 */
export async function openRemote(ref: RepoRef, options: RemoteOptions = {}): Promise<RemoteFiles> {
  const environment = options.environment ?? hubEnvironment();
  const client = new HubClient(environment, options.signal, (reason) => options.onWaiting?.(reason));
  const name = describeRepo(ref);
  try {
    const commit = await commitOf(client, { id: ref.id, revision: ref.revision ?? "main" });
    const listed = await filesOf(client, ref, commit);
    return {
      name,
      commit,
      pathOf: (file) => `${name}: ${file}`,
      // A commit never changes.
      stampOf: () => "",
      size: async (file) => listed.get(file)?.bytes,
      read: (file, offset, length) =>
        readRange(client, { id: ref.id, revision: commit, file }, offset, length),
      close: () => client.close(),
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function readRange(
  client: HubClient,
  subject: Subject & { readonly revision: string; readonly file: string },
  offset: number,
  length: number,
): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const base = client.environment.endpoint.href.replace(/\/+$/, "");
  const address = `${base}/${subject.id}/resolve/${subject.revision}/${encodeURIComponent(subject.file)}`;
  const request = { subject, headers: { range: `bytes=${offset}-${offset + length - 1}` } };
  for (let tries = 1; ; tries++) {
    const response = await client.get(address, request);
    const bytes = await take(response, offset, length, subject);
    if (bytes) return bytes;
    if (tries >= TRIES) {
      throw hubError(
        nameOf(subject),
        `expected ${length} bytes from ${response.url.host}, the connection broke ${TRIES} times; try again later`,
      );
    }
    await client.waitAfterCut(tries, request);
  }
}

/** The bytes of an answer. @returns undefined when the connection broke before the last of them */
async function take(
  response: HubResponse,
  offset: number,
  length: number,
  subject: Subject,
): Promise<Buffer | undefined> {
  const range = response.header("content-range") ?? "";
  // A server that knows no ranges sends the file from its beginning: only there that is of use.
  const starts =
    response.status === 206 ? Number(/^bytes (\d+)-/.exec(range)?.[1]) : response.status === 200 ? 0 : -1;
  if (starts !== offset) {
    response.giveUp();
    throw hubError(
      nameOf(subject),
      `expected the bytes from ${offset} on from ${response.url.host}, found ${range === "" ? `status ${response.status} without a range` : printable(range)}; download the repository with mlx-gemma pull`,
    );
  }
  const chunks: Uint8Array[] = [];
  let had = 0;
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      had += chunk.length;
      if (had >= length) break;
    }
  } catch {
    return undefined; // An abort is told by the wait before the next try.
  } finally {
    response.giveUp();
  }
  return had < length ? undefined : Buffer.concat(chunks).subarray(0, length);
}
