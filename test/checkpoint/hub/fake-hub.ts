import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as a server saw it. */
export interface Seen {
  readonly host: "hub" | "storage";
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** Answers a request instead of the server; false leaves it to the server. */
export type Handler = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

interface Repo {
  /** Commit by revision. */
  readonly refs: Map<string, string>;
  readonly commits: Map<string, Map<string, Buffer>>;
}

const git = (bytes: Buffer) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
export const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const isLfs = (name: string) => name.endsWith(".safetensors") || name === "tokenizer.json";

/**
 * A hub on loopback: the endpoint, and a storage server at another port that large files are redirected to, as the
 * real one does. Both write down every request.
 */
export class FakeHub {
  readonly seen: Seen[] = [];
  readonly repos = new Map<string, Repo>();
  /** Looked at first, for each server. */
  hub: Handler = () => false;
  storage: Handler = () => false;
  #hub: Server;
  #storage: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#onHub(request, response));
    this.#storage = createServer((request, response) => this.#onStorage(request, response));
  }

  static async start(): Promise<FakeHub> {
    const fake = new FakeHub();
    for (const server of [fake.#hub, fake.#storage]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    }
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${portOf(this.#hub)}`;
  }

  get storageHost(): string {
    return `127.0.0.1:${portOf(this.#storage)}`;
  }

  /** Adds a commit to a repository and moves a revision to it. @returns the commit */
  add(id: string, files: Readonly<Record<string, string | Buffer>>, revision = "main"): string {
    const repo = this.repos.get(id) ?? { refs: new Map(), commits: new Map() };
    this.repos.set(id, repo);
    const content = new Map(Object.entries(files).map(([name, data]) => [name, Buffer.from(data)]));
    const all = createHash("sha1").update(id);
    for (const [name, data] of content) all.update(name).update(data);
    const commit = all.digest("hex");
    repo.commits.set(commit, content);
    repo.refs.set(revision, commit);
    return commit;
  }

  /** Requests for the bytes of a file, at either server. */
  downloadsOf(name: string): Seen[] {
    return this.seen.filter(({ path }) => path.endsWith(`/${name}`));
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #onHub(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? "/", this.endpoint).pathname);
    this.seen.push({ host: "hub", path, headers: request.headers });
    if (this.hub(request, response, path)) return;
    const [, id = "", kind, rest = ""] =
      /^\/(?:api\/models\/)?([\w.-]+\/[\w.-]+)\/(revision|tree|resolve)\/(.+)$/.exec(path) ?? [];
    const repo = this.repos.get(id);
    if (!repo) {
      refuse(response, 404, "RepoNotFound", "Repository not found");
      return;
    }
    const [revision = "", file] = kind === "resolve" ? splitOnce(rest) : [rest];
    const commit = repo.commits.has(revision) ? revision : repo.refs.get(revision);
    const files = commit === undefined ? undefined : repo.commits.get(commit);
    if (commit === undefined || !files) {
      refuse(response, 404, "RevisionNotFound", "Invalid rev id");
      return;
    }
    if (kind === "revision") {
      json(response, { _id: "1", id, sha: commit, lastModified: 0 });
      return;
    }
    if (kind === "tree") {
      const entries = [...files].map(([name, data]) => listed(name, data));
      json(response, entries);
      return;
    }
    const data = files.get(file ?? "");
    if (!data || file === undefined) {
      refuse(response, 404, "EntryNotFound", "Entry not found");
      return;
    }
    response.setHeader("x-repo-commit", commit);
    if (!isLfs(file)) {
      send(request, response, data, `"${git(data)}"`);
      return;
    }
    response.setHeader("x-linked-etag", `"${sha256(data)}"`);
    response.setHeader("x-linked-size", data.length);
    response.writeHead(302, { location: `http://${this.storageHost}/${id}/${commit}/${file}` }).end();
  }

  #onStorage(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url ?? "/");
    this.seen.push({ host: "storage", path, headers: request.headers });
    if (this.storage(request, response, path)) return;
    const data = this.content(path);
    if (!data) {
      response.writeHead(404).end();
      return;
    }
    send(request, response, data, storageEtag(data));
  }

  /** The bytes at a path of the storage. */
  content(path: string): Buffer | undefined {
    const [, id = "", commit = "", file = ""] = /^\/([^/]+\/[^/]+)\/([^/]+)\/(.+)$/.exec(path) ?? [];
    return this.repos.get(id)?.commits.get(commit)?.get(file);
  }
}

/** Storage has names of its own for versions, which are no sha256. */
export const storageEtag = (data: Buffer) => `"${createHash("md5").update(data).digest("hex")}-1"`;

/** Sends bytes as a server that knows ranges; only `limit` of them, then the connection breaks. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  data: Buffer,
  etag: string,
  limit = Number.POSITIVE_INFINITY,
): void {
  const [, first = Number.NaN, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const from = Number(first);
  const end = last ? Math.min(data.length, Number(last) + 1) : data.length;
  const fits = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
  response.setHeader("etag", etag);
  response.setHeader("accept-ranges", "bytes");
  let body = data;
  if (!Number.isNaN(from) && fits) {
    if (from >= data.length) {
      response.writeHead(416, { "content-range": `bytes */${data.length}` }).end();
      return;
    }
    body = data.subarray(from, end);
    response.statusCode = 206;
    response.setHeader("content-range", `bytes ${from}-${end - 1}/${data.length}`);
  }
  response.setHeader("content-length", body.length);
  if (limit >= body.length) {
    response.end(body);
    return;
  }
  // The callback comes when the bytes have left this process.
  response.write(body.subarray(0, limit), () => setTimeout(() => response.destroy(), 5));
}

export function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

/** An error in the hub's own form. */
export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response
    .writeHead(status, {
      "content-type": "application/json",
      ...(code ? { "x-error-code": code } : {}),
      "x-error-message": message,
    })
    .end(JSON.stringify({ error: message }));
}

export function listed(name: string, data: Buffer): object {
  const lfs = isLfs(name) ? { lfs: { oid: sha256(data), size: data.length, pointerSize: 134 } } : {};
  return { type: "file", path: name, size: data.length, oid: git(data), ...lfs };
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("/");
  return [text.slice(0, at), text.slice(at + 1)];
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
