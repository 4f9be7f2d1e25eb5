import { MlxGemmaError } from "../../errors.js";
import * as z from "../../zod.js";
import { isPlainName } from "../file-names.js";
import type { HubClient } from "./client.js";
import type { Digest } from "./digest.js";
import { hubError } from "./errors.js";
import { nameOf, type Subject } from "./failures.js";
import { COMMIT, type RepoRef } from "./repo-id.js";

/** A file of a commit, as the hub announces it. */
export interface RemoteFile {
  readonly name: string;
  readonly bytes: number;
  readonly digest: Digest;
}

const MAX_ANSWER = 16 * 1024 * 1024;
const MAX_PAGES = 50;

const SHA1 = /^[0-9a-f]{40}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const size = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** What is read of a list's entry. Sizes and digests decide what is written to disk. */
const fileEntry = z.object({
  path: z.string(),
  size,
  oid: z.string().regex(SHA1),
  lfs: z.object({ oid: z.string().regex(SHA256), size }).nullish(),
});

/** The commit that a revision stands at now. */
export async function commitOf(
  client: HubClient,
  subject: RepoRef & { readonly revision: string },
): Promise<string> {
  if (COMMIT.test(subject.revision)) return subject.revision;
  const { modelInfo } = await import("@huggingface/hub");
  const { sha } = await asked(subject, () =>
    modelInfo({
      name: subject.id,
      revision: subject.revision,
      additionalFields: ["sha"],
      hubUrl: hubUrl(client),
      fetch: jsonFetch(client, subject),
    }),
  );
  if (typeof sha === "string" && COMMIT.test(sha)) return sha;
  throw strange(subject, "the name of a commit", client);
}

/** The files that lie at the top of a commit, by name. Those in folders, and with odd names, are left out. */
export async function filesOf(
  client: HubClient,
  repo: RepoRef,
  commit: string,
): Promise<Map<string, RemoteFile>> {
  const { listFiles } = await import("@huggingface/hub");
  const subject = { id: repo.id, revision: commit };
  return asked(subject, async () => {
    const files = new Map<string, RemoteFile>();
    const entries = listFiles({
      repo: { type: "model", name: repo.id },
      revision: commit,
      recursive: false,
      hubUrl: hubUrl(client),
      fetch: jsonFetch(client, subject),
    });
    for await (const entry of entries) {
      if (entry?.type !== "file" || typeof entry.path !== "string" || !isPlainName(entry.path)) continue;
      const parsed = fileEntry.safeParse(entry);
      if (!parsed.success) throw strange(subject, `the size and digest of ${entry.path}`, client);
      const { path, oid, lfs } = parsed.data;
      files.set(path, {
        name: path,
        bytes: lfs?.size ?? parsed.data.size,
        digest: lfs ? { algorithm: "sha256", hex: lfs.oid } : { algorithm: "git", hex: oid },
      });
    }
    return files;
  });
}

/** What `@huggingface/hub` stumbles over in an answer that is no error of ours. */
async function asked<T>(subject: Subject, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof MlxGemmaError) throw error;
    throw hubError(
      nameOf(subject),
      "expected the hub's list of files, found an answer of another form; check HF_ENDPOINT",
      {
        cause: error,
      },
    );
  }
}

function hubUrl(client: HubClient): string {
  return client.environment.endpoint.href.replace(/\/+$/, "");
}

/** A `fetch` for `@huggingface/hub`: our client's retries, redirects and errors, and bounds on what is read. */
function jsonFetch(client: HubClient, subject: Subject): typeof fetch {
  let pages = 0;
  return async (input) => {
    const url = new URL(input instanceof Request ? input.url : input);
    // The next page's address comes from the answer before.
    if (url.origin !== client.environment.endpoint.origin || ++pages > MAX_PAGES) {
      throw strange(subject, `at most ${MAX_PAGES} pages, all of them its own`, client);
    }
    const response = await client.get(url.href, { subject, headers: { accept: "application/json" } });
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > MAX_ANSWER) {
        response.giveUp();
        throw strange(subject, `at most ${MAX_ANSWER} bytes`, client);
      }
      chunks.push(chunk);
    }
    const text = new TextDecoder().decode(Buffer.concat(chunks));
    if (!isJson(text)) throw strange(subject, "JSON", client);
    const link = response.header("link");
    return new Response(text, { headers: { "content-type": "application/json", ...(link ? { link } : {}) } });
  };
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === "object";
  } catch {
    return false;
  }
}

function strange(subject: Subject, expected: string, client: HubClient): MlxGemmaError {
  return hubError(
    nameOf(subject),
    `expected ${expected} from ${client.environment.endpoint.host}, found something else; check HF_ENDPOINT, and whether the network asks for a login in a browser`,
  );
}
