import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { MlxGemmaError } from "../../errors.js";
import { userHome } from "../../user-home.js";
import { errorCode, printable } from "./errors.js";
import { proxyFor } from "./proxy.js";

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ENDPOINT = "https://huggingface.co";

/**
 * What the environment says of the hub, in the names that Python's huggingface_hub reads, so that both use one cache.
 * https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 */
export interface HubEnvironment {
  /** Folder that holds `models--org--name`. HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME. */
  readonly cache: string;
  /** HF_ENDPOINT without a slash at its end; default https://huggingface.co. */
  readonly endpoint: URL;
  /** HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE. */
  readonly offline: boolean;
  /** HF_HUB_DISABLE_SYMLINKS: files of a snapshot are no symbolic links. */
  readonly symlinks: boolean;
  /** Seconds without an answer, or without a byte, after which a connection counts as dead. HF_HUB_DOWNLOAD_TIMEOUT. */
  readonly timeout: number;
  /** The user's token, read when it is needed, so that nothing that prints this prints it. See {@link hubToken}. */
  readonly token: () => string | undefined;
  /** See {@link proxyFor}. */
  readonly proxy: (url: URL) => URL | undefined;
  /** How long is waited for what; no variable sets it. */
  readonly patience: Patience;
}

/** In seconds. */
export interface Patience {
  /** Before the second try; doubled for each further one. */
  readonly retry: number;
  /** The longest wait that a server may ask for. */
  readonly longest: number;
  /** Between two signs of life of a lock's owner. */
  readonly beat: number;
  /** A lock whose owner gives none for so long is taken over. */
  readonly stale: number;
}

const PATIENCE: Patience = { retry: 1, longest: 300, beat: 2, stale: 30 };

/** Reads the environment. @throws MlxGemmaError `usage` for a value that can't be one. */
export function hubEnvironment(env: Environment = process.env): HubEnvironment {
  return {
    cache: cacheFolder(env),
    endpoint: endpoint(env),
    offline: isOffline(env),
    symlinks: !isTrue(env.HF_HUB_DISABLE_SYMLINKS),
    timeout: seconds(env, "HF_HUB_DOWNLOAD_TIMEOUT", 30),
    token: () => hubToken(env),
    proxy: (url) => proxyFor(url, env),
    patience: PATIENCE,
  };
}

/** The folder of the cache. */
export function cacheFolder(env: Environment = process.env): string {
  const named = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE;
  return named ? expand(named, env) : join(home(env), "hub");
}

/** Whether the environment forbids the network. */
export function isOffline(env: Environment = process.env): boolean {
  return isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE);
}

/**
 * The user's token, from HF_TOKEN or else the file that `hf auth login` writes (HF_TOKEN_PATH).
 *
 * @throws MlxGemmaError `hub` for something that can't be a token; it is not printed
 */
export function hubToken(env: Environment): string | undefined {
  if (isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (given?.trim()) return checkToken(given.trim(), "HF_TOKEN");
  const file = env.HF_TOKEN_PATH ? expand(env.HF_TOKEN_PATH, env) : join(home(env), "token");
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error))) return undefined;
    throw new MlxGemmaError(
      "hub",
      `${file}: expected the hub's token, found that it can't be read (${errorCode(error)}); check its permissions, or set HF_TOKEN`,
    );
  }
  return text === "" ? undefined : checkToken(text, file);
}

function checkToken(token: string, where: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new MlxGemmaError(
    "hub",
    `${where}: expected the hub's token, found something else; make one at ${DEFAULT_ENDPOINT}/settings/tokens and log in with it (hf auth login)`,
  );
}

function home(env: Environment): string {
  if (env.HF_HOME) return expand(env.HF_HOME, env);
  return join(
    env.XDG_CACHE_HOME ? expand(env.XDG_CACHE_HOME, env) : join(homeOf(env), ".cache"),
    "huggingface",
  );
}

/** `~`, `$NAME` and `${NAME}` as Python's expanduser and expandvars take them; then absolute. */
function expand(path: string, env: Environment): string {
  const named = path.replace(
    /\$(?:(\w+)|\{([^}]*)\})/g,
    (whole, bare, braced) => env[bare ?? braced] ?? whole,
  );
  return resolve(named.replace(/^~(?=$|[\\/])/, () => homeOf(env)));
}

function homeOf(env: Environment): string {
  const folder = userHome(env);
  if (folder !== undefined) return folder;
  throw new MlxGemmaError(
    "disk",
    "HOME: expected the user's folder, where models are kept, found none; set HF_HOME to a folder of yours",
  );
}

function endpoint(env: Environment): URL {
  const text = (env.HF_ENDPOINT || DEFAULT_ENDPOINT).trim().replace(/\/+$/, "");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "") return url;
  throw new MlxGemmaError(
    "usage",
    `HF_ENDPOINT: expected an address such as ${DEFAULT_ENDPOINT}, found ${JSON.stringify(printable(text))}`,
  );
}

function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

function seconds(env: Environment, name: string, fallback: number): number {
  const text = env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (value > 0 && value <= 86_400) return value;
  throw new MlxGemmaError(
    "usage",
    `${name}: expected seconds from 1 to 86400, found ${JSON.stringify(printable(text))}`,
  );
}
