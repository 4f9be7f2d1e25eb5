import { MlxGemmaError } from "../../errors.js";
import { errorCode, hubError, printable } from "./errors.js";
import { proxyName } from "./proxy.js";
import { describeRepo, type RepoRef } from "./repo-id.js";

/** No repository of that name, or none that may be seen. */
export class MissingRepoError extends MlxGemmaError {
  constructor(where: string, message: string) {
    super("hub", `${where}: ${message}`);
  }
}

/** What a request was about, for errors. */
export interface Subject extends RepoRef {
  /** A file of the repository. */
  readonly file?: string;
}

/** An answer of a server, as far as errors need it. */
export interface Answer {
  readonly status: number;
  readonly url: URL;
  header(name: string): string | undefined;
}

const LOGIN = "log in (hf auth login) or set HF_TOKEN";
const BROKEN_CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET_ISSUER|VERIFY)|ERR_TLS/;
const NO_NETWORK = ["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "ECONNREFUSED"];
const SLOW = ["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT"];

/** How undici tells that a proxy refused a tunnel, or a plain request. */
const PROXY_REFUSAL = /Proxy (?:response|Authentication Required) \((\d+)\)/;

/** The error for an answer that is neither a success nor worth another try. */
export function statusError(
  answer: Answer,
  subject: Subject,
  endpoint: URL,
  hasToken: boolean,
): MlxGemmaError {
  const where = nameOf(subject);
  const code = answer.header("x-error-code");
  const said = printable(answer.header("x-error-message") ?? "");
  const page = `${endpoint.origin}/${subject.id}`;
  // Storage answers for itself: its addresses expire, and it knows nothing of repositories.
  if (answer.url.origin !== endpoint.origin) {
    return hubError(
      where,
      `expected the file from ${answer.url.host}, found status ${answer.status}; try again later`,
    );
  }
  if (code === "GatedRepo") {
    return hubError(
      where,
      hasToken
        ? `the repository is gated, and your token's account has no access; accept its terms at ${page}, with a token that may read gated repositories`
        : `the repository is gated; accept its terms at ${page}, then ${LOGIN}`,
    );
  }
  if (code === "RevisionNotFound") {
    return hubError(
      where,
      `expected the revision ${subject.revision ?? "main"}, found none of that name; look at ${page}/tree/main for those there are`,
    );
  }
  if (code === "EntryNotFound") {
    return hubError(where, "expected the file in the repository, found none of that name; run again");
  }
  if (answer.status === 401 && hasToken && /invalid (?:credentials|username|token)/i.test(said)) {
    return hubError(
      where,
      `the hub does not know your token; ${LOGIN} with a new one from ${endpoint.origin}/settings/tokens`,
    );
  }
  if (code === "RepoNotFound" || answer.status === 404 || answer.status === 401) {
    const hidden = hasToken ? "your token has no access" : `you are not logged in: ${LOGIN}`;
    return new MissingRepoError(
      where,
      `expected a repository at ${endpoint.host}, found none of that name; check the spelling (or it is private and ${hidden})`,
    );
  }
  if (answer.status === 403) {
    const why = said === "" ? "" : ` (${said})`;
    return hubError(
      where,
      `access is refused${why}; ${hasToken ? "use a token with the permission to read it" : LOGIN}`,
    );
  }
  if (answer.status === 407) return proxyRefusal(where, answer.url.host, 407);
  if (answer.status === 429) {
    return hubError(
      where,
      `${endpoint.host} takes no more requests for now; try again later${hasToken ? "" : `, or ${LOGIN} for more`}`,
    );
  }
  const why = said === "" ? "" : ` (${said})`;
  return hubError(
    where,
    `expected an answer from ${endpoint.host}, found status ${answer.status}${why}; try again later`,
  );
}

/** The error for a request that got no answer. */
export function networkError(
  error: unknown,
  subject: Subject,
  url: URL,
  proxy: URL | undefined,
): MlxGemmaError {
  const where = nameOf(subject);
  const code = errorCode(error);
  const options = { cause: error };
  const refused = PROXY_REFUSAL.exec(error instanceof Error ? error.message : "")?.[1];
  if (proxy && refused !== undefined) return proxyRefusal(where, proxyName(proxy), Number(refused));
  const host = proxy ? `the proxy ${proxyName(proxy)} or ${url.host}` : url.host;
  if (BROKEN_CERTIFICATE.test(code)) {
    return hubError(
      where,
      `${host}: its certificate is not trusted (${code}); behind a company's proxy set NODE_EXTRA_CA_CERTS to its certificate`,
      options,
    );
  }
  if (SLOW.includes(code)) {
    return hubError(
      where,
      `${host} gives no answer; check the network, or raise HF_HUB_DOWNLOAD_TIMEOUT (seconds), and run again`,
      options,
    );
  }
  if (NO_NETWORK.includes(code)) {
    const advice = proxy
      ? "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
      : "check the network (HTTPS_PROXY, HF_ENDPOINT), or set HF_HUB_OFFLINE=1 to use what the cache has";
    return hubError(where, `${host} can't be reached (${code}); ${advice}`, options);
  }
  const what = code || printable(error instanceof Error ? error.message : String(error));
  return hubError(
    where,
    `the connection to ${host} broke (${what}); run again: it goes on where it stopped`,
    options,
  );
}

/** Whether another try can't help. */
export function isFinal(error: unknown): boolean {
  return (
    BROKEN_CERTIFICATE.test(errorCode(error)) ||
    PROXY_REFUSAL.test(error instanceof Error ? error.message : "")
  );
}

/** Whether nothing was reached at all: waiting does not mend that at the start. */
export function isUnreachable(error: unknown): boolean {
  return NO_NETWORK.includes(errorCode(error));
}

/** For errors: the repository with its revision, and the file. */
export function nameOf(subject: Subject): string {
  return describeRepo(subject) + (subject.file === undefined ? "" : `: ${subject.file}`);
}

function proxyRefusal(where: string, proxy: string, status: number): MlxGemmaError {
  const advice =
    status === 407
      ? "give its user and password in HTTPS_PROXY (http://user:password@host:port)"
      : "check HTTPS_PROXY, or name the hub's host in NO_PROXY";
  return hubError(where, `the proxy ${proxy} refuses the connection (status ${status}); ${advice}`);
}
