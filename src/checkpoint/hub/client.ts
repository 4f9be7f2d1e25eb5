import type { Dispatcher } from "undici";
import { MlxGemmaError } from "../../errors.js";
import { received } from "./body.js";
import type { HubEnvironment } from "./environment.js";
import { errorCode, hubError } from "./errors.js";
import {
  type Answer,
  isFinal,
  isUnreachable,
  nameOf,
  networkError,
  type Subject,
  statusError,
} from "./failures.js";
import { pause, throwIfDownloadAborted, waitAsked } from "./waiting.js";

/** Tries of one request. */
const TRIES = 6;
const MAX_REDIRECTS = 10;
const REDIRECTS = [301, 302, 303, 307, 308];
const WORTH_A_RETRY = [408, 429, 500, 502, 503, 504];

/** Statuses that a caller handles itself. */
const FINE = [200, 206, 416];

/** An answer to a GET. Its body must be read to the end, or given up. */
export interface HubResponse extends Answer {
  /** The bytes as they were sent, undecoded. */
  readonly body: AsyncIterable<Uint8Array>;
  /** A header of the endpoint's own answer, from before a redirect to storage. */
  endpointHeader(name: string): string | undefined;
  /** Closes the connection if bytes are left. */
  giveUp(): void;
}

export interface Request {
  readonly subject: Subject;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses, beside those of success, that the caller handles itself. */
  readonly fine?: readonly number[];
  /** Instead of the client's. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * GETs from the hub: redirects, tries again, proxies and timeouts. The token goes to the endpoint alone: no other
 * scheme, host or port ever gets it.
 */
export class HubClient {
  readonly #dispatchers = new Map<string, Dispatcher>();
  /** Private in earnest: whatever prints the client prints no token. */
  readonly #token: string | undefined;
  #reached = false;

  constructor(
    readonly environment: HubEnvironment,
    private readonly signal: AbortSignal | undefined,
    /** Told why nothing moves. */
    private readonly onWaiting: (reason: string, subject: Subject) => void,
  ) {
    this.#token = environment.token();
  }

  get hasToken(): boolean {
    return this.#token !== undefined;
  }

  /** GETs an address. @throws MlxGemmaError `hub` or `aborted` */
  async get(address: string, request: Request): Promise<HubResponse> {
    const { subject, signal = this.signal } = request;
    for (let tries = 1; ; tries++) {
      throwIfDownloadAborted(signal);
      const url = new URL(address);
      let wait: number;
      let reason: string;
      try {
        const response = await this.#follow(url, { ...request, signal });
        this.#reached = true;
        if ([...FINE, ...(request.fine ?? [])].includes(response.status)) return response;
        response.giveUp();
        const asked = waitAsked(response);
        const failure = statusError(response, subject, this.environment.endpoint, this.hasToken);
        if (!WORTH_A_RETRY.includes(response.status) || tries >= TRIES) throw failure;
        if (asked !== undefined && asked > this.environment.patience.longest) {
          throw hubError(
            nameOf(subject),
            `${response.url.host} asks to wait ${Math.ceil(asked)} s; run again then`,
          );
        }
        wait = asked ?? this.#delay(tries);
        reason = `${response.url.host} answers ${response.status}, trying again in ${Math.ceil(wait)} s`;
      } catch (error) {
        if (error instanceof MlxGemmaError) throw error;
        throwIfDownloadAborted(signal);
        const failed = failedAt(error) ?? url;
        const cause = error instanceof RequestFailure ? error.cause : error;
        const hopeless = isFinal(cause) || (isUnreachable(cause) && !this.#reached);
        if (hopeless || tries >= TRIES)
          throw networkError(cause, subject, failed, this.environment.proxy(failed));
        wait = this.#delay(tries);
        reason = `${failed.host} can't be reached (${errorCode(cause) || "no answer"}), trying again in ${Math.ceil(wait)} s`;
      }
      this.onWaiting(reason, subject);
      await pause(wait, signal);
    }
  }

  /** What is waited before try `tries` + 1, in seconds. Spread, so that several downloads do not come back as one. */
  #delay(tries: number): number {
    return this.environment.patience.retry * 2 ** (tries - 1) * (0.75 + Math.random() / 2);
  }

  /** Waits before a download goes on after its connection broke. */
  async waitAfterCut(tries: number, { subject, signal }: Request): Promise<void> {
    const wait = this.#delay(tries);
    this.onWaiting(`the connection broke, going on in ${Math.ceil(wait)} s`, subject);
    await pause(wait, signal);
  }

  async #follow(start: URL, request: Request): Promise<HubResponse> {
    const { subject } = request;
    const { endpoint } = this.environment;
    let url = start;
    let own: Answer | undefined;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await this.#once(url, request, own);
      if (url.origin === endpoint.origin) own = merged(own, response);
      const location = response.header("location");
      if (!REDIRECTS.includes(response.status) || location === undefined) return response;
      response.giveUp();
      url = redirected(url, location, subject);
    }
    throw hubError(
      nameOf(subject),
      `expected the file after at most ${MAX_REDIRECTS} redirects from ${endpoint.host}, found more; check HF_ENDPOINT and the proxy`,
    );
  }

  async #once(url: URL, { headers, signal }: Request, own: Answer | undefined): Promise<HubResponse> {
    const { request } = await import("undici");
    const { endpoint, timeout } = this.environment;
    const trusted = url.origin === endpoint.origin && this.#token !== undefined;
    let data: Dispatcher.ResponseData;
    try {
      data = await request(url, {
        dispatcher: await this.#dispatcher(url),
        headers: {
          // Compressed bytes could neither be resumed nor checked against the size.
          "accept-encoding": "identity",
          "user-agent": "mlx-gemma",
          ...headers,
          ...(trusted ? { authorization: `Bearer ${this.#token}` } : {}),
        },
        headersTimeout: timeout * 1000,
        bodyTimeout: timeout * 1000,
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      throw new RequestFailure(url, error);
    }
    const body = received(data.body);
    const header = (name: string) => {
      const value = data.headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    return {
      status: data.statusCode,
      url,
      header,
      endpointHeader: (name) =>
        (url.origin === endpoint.origin ? header(name) : undefined) ?? own?.header(name),
      body,
      giveUp() {
        data.body.destroy();
      },
    };
  }

  async #dispatcher(url: URL): Promise<Dispatcher> {
    const proxy = this.environment.proxy(url);
    const key = proxy?.href ?? "";
    const known = this.#dispatchers.get(key);
    if (known) return known;
    const { Agent, ProxyAgent } = await import("undici");
    const connect = { timeout: this.environment.timeout * 1000 };
    const made = proxy
      ? new ProxyAgent({ uri: proxy.href, proxyTunnel: false, requestTls: connect, proxyTls: connect })
      : new Agent({ connect });
    this.#dispatchers.set(key, made);
    return made;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
    this.#dispatchers.clear();
  }
}

/** A request without an answer, with the address that it failed at. */
class RequestFailure extends Error {
  constructor(
    readonly url: URL,
    override readonly cause: unknown,
  ) {
    super("no answer");
  }
}

function failedAt(error: unknown): URL | undefined {
  return error instanceof RequestFailure ? error.url : undefined;
}

/** Headers of several answers of the endpoint: the first that has one gives it, as the last may be a redirect's aim. */
function merged(first: Answer | undefined, next: Answer): Answer {
  return first ? { ...next, header: (name) => first.header(name) ?? next.header(name) } : next;
}

function redirected(from: URL, location: string, subject: Subject): URL {
  const next = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const safe =
    next && (next.protocol === "https:" || (next.protocol === "http:" && from.protocol === "http:"));
  if (safe) return next;
  throw hubError(
    nameOf(subject),
    `${from.host} redirects to an address that is not followed (${next ? `${next.protocol}//` : "no address"}); check HF_ENDPOINT and the proxy`,
  );
}
