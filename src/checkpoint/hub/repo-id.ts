import { MlxGemmaError } from "../../errors.js";
import { quote } from "../json.js";

/** A repository of models on the hub, maybe at a revision. */
export interface RepoRef {
  /** `org/name`. */
  readonly id: string;
  /** Branch, tag or commit; absent: `main`. */
  readonly revision?: string;
}

/** The hub's own rules: letters, digits, `-`, `_`, `.`; no `--` nor `..`; a letter or digit at both ends. */
const PART = "(?!.*(?:--|\\.\\.))[A-Za-z0-9_](?:[\\w.-]{0,94}[A-Za-z0-9_])?";
const ID = new RegExp(`^(?:${PART.replaceAll(".*", "[^/]*")})/(?:${PART})$`);
const SCHEME = "hf://";
const MAX_ID = 96;

/** Length of a commit's name in hexadecimal. */
export const COMMIT = /^[0-9a-f]{40}$/;

/**
 * Reads `org/name`, `org/name@revision`, or the same behind `hf://`.
 *
 * @returns undefined for what is no name of a repository, such as a path
 * @throws MlxGemmaError `usage` for a broken name behind `hf://`, and for a revision that can't be one
 */
export function parseRepoId(text: string): RepoRef | undefined {
  const forced = text.startsWith(SCHEME);
  const bare = forced ? text.slice(SCHEME.length).replace(/^models\//, "") : text;
  const at = bare.indexOf("@");
  const id = at < 0 ? bare : bare.slice(0, at);
  if (!ID.test(id) || id.length > MAX_ID || /\.git$/.test(id)) {
    if (!forced) return undefined;
    throw new MlxGemmaError("usage", `expected ${SCHEME}org/name[@revision], found ${quote(text)}`);
  }
  return at < 0 ? { id } : { id, revision: checkRevision(bare.slice(at + 1)) };
}

/** Whether a text can only mean a repository, not a folder: it begins with `hf://`. */
export function isHubOnly(text: string): boolean {
  return text.startsWith(SCHEME);
}

/**
 * @returns the revision
 * @throws MlxGemmaError `usage` for what git takes for no revision; such a text could also leave the cache's folder
 */
export function checkRevision(revision: string): string {
  const parts = revision.split("/");
  const fits =
    /^[\w./+-]{1,200}$/.test(revision) &&
    !revision.includes("..") &&
    parts.every(
      (part) => part !== "" && !part.startsWith(".") && !part.startsWith("-") && !part.endsWith(".lock"),
    );
  if (fits) return revision;
  throw new MlxGemmaError(
    "usage",
    `--revision: expected a branch, tag or commit of the repository, found ${quote(revision)}`,
  );
}

/** `org/name`, with its revision where that is not the default. */
export function describeRepo({ id, revision }: RepoRef): string {
  return revision === undefined || revision === "main" ? id : `${id}@${revision}`;
}
