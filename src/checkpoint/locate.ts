import { realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MlxGemmaError } from "../errors.js";
import { checkpointError, describe, isObject, quote } from "./json.js";
import { assistantCandidates, assistantFolderNames } from "./known-pairs.js";
import { isFile, isThere, readJson, reason } from "./plain-file.js";

/** `src/checkpoint` and `dist/checkpoint` lie equally deep in the package. */
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Absolute path of the embedded pair's target. */
export const EMBEDDED_TARGET = join(PACKAGE, "models", "tiny-gemma4", "target");

/**
 * Absolute path of a checkpoint's folder; the embedded target when none is given.
 *
 * @throws MlxGemmaError `checkpoint` when there is no folder, or no config.json in it; `usage` for an empty path, which
 * would be the current folder.
 */
export function locateFolder(path?: string): string {
  if (path === "") {
    throw new MlxGemmaError("usage", "expected the folder or name of a checkpoint, found an empty text");
  }
  const folder = resolve(path ?? EMBEDDED_TARGET);
  let stats: Stats;
  try {
    stats = statSync(folder);
  } catch (error) {
    throw checkpointError(
      folder,
      `expected the folder of a checkpoint, found ${reason(error)}; check the path`,
    );
  }
  if (!stats.isDirectory()) {
    throw checkpointError(
      folder,
      `expected the folder of a checkpoint, found a file; give the folder that holds config.json`,
    );
  }
  if (!isThere(join(folder, "config.json"))) {
    throw checkpointError(
      folder,
      "expected config.json in the folder, found none; give the folder that holds it",
    );
  }
  return folder;
}

/** An assistant that was found for a target. */
export interface FoundAssistant {
  /** Absolute path. */
  readonly folder: string;
  /** Why it was taken, to be told: "named by …", "beside …". */
  readonly why: string;
  /** Found by what the target's name says, rather than where it belongs: the user should know. */
  readonly guessed: boolean;
}

/**
 * The assistant that belongs to a target's folder, on this machine and without a cache: the one that `assistant` in its
 * config.json or generation_config.json names (a path relative to the folder); else a folder beside it of a name that
 * the target's gives ({@link assistantFolderNames}) or called `assistant`; else one of the same names in the folders
 * of other organisations (`models/org/name`).
 *
 * @returns undefined when none is there
 * @throws MlxGemmaError `checkpoint` when what the config names isn't there.
 */
export function findAssistant(targetFolder: string): FoundAssistant | undefined {
  const folder = resolve(targetFolder);
  const named = namedAssistant(folder);
  if (named) {
    const path = resolve(folder, named.path);
    if (holdsConfig(path)) return { folder: path, why: `named by ${named.file}`, guessed: false };
    throw checkpointError(
      named.file,
      `assistant: expected the folder of an assistant at ${path}, found no config.json there; download it there, or give its folder as the drafter`,
    );
  }
  const found = candidatesBeside(folder).find(holdsConfig);
  if (found === undefined) return undefined;
  const own = [`${basename(folder)}-assistant`, "assistant"].includes(basename(found));
  return { folder: found, why: own ? `beside ${folder}` : `by the name of ${folder}`, guessed: !own };
}

/**
 * The error that no assistant was found.
 *
 * @param elsewhere other places that were searched
 */
export function noAssistant(targetFolder: string, elsewhere: readonly string[] = []): MlxGemmaError {
  const folder = resolve(targetFolder);
  const places = [[...new Set(candidatesBeside(folder))].join(", "), ...elsewhere];
  return checkpointError(
    folder,
    `expected its assistant at ${places.join(", or ")}, or named by "assistant" in config.json, found none; ` +
      "give the assistant's folder or name as the drafter, or draft with none",
  );
}

/**
 * What a folder is called: `org/name` for a snapshot in the hub's cache (`models--org--name/snapshots/commit`), else
 * its own name.
 */
export function nameOfFolder(folder: string): string {
  const path = resolve(folder);
  const [, id] = /[\\/]models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$/.exec(path) ?? [];
  return id?.replace("--", "/") ?? basename(path);
}

function candidatesBeside(folder: string): string[] {
  const places = new Set([folder]);
  try {
    places.add(realpathSync(folder));
  } catch {
    // The folder's own place is enough; opening it will say what is wrong.
  }
  return [...places].flatMap((place) => {
    const parent = dirname(place);
    const names = [...assistantFolderNames(basename(place)), "assistant"];
    const organisations = assistantCandidates(`${basename(parent)}/${basename(place)}`);
    return [
      ...names.map((name) => join(parent, name)),
      ...organisations.map((id) => join(dirname(parent), id)),
    ];
  });
}

function namedAssistant(folder: string): { readonly file: string; readonly path: string } | undefined {
  for (const name of ["config.json", "generation_config.json"]) {
    const file = join(folder, name);
    const json = isFile(file) ? readJson(file) : undefined;
    const path = isObject(json) ? json.assistant : undefined;
    if (path === undefined || path === null) continue;
    if (typeof path === "string" && path !== "" && !path.includes("\0")) return { file, path };
    throw checkpointError(
      file,
      `assistant: expected the path of a folder, found ${describe(path)}; mend ${quote(name)}`,
    );
  }
  return undefined;
}

function holdsConfig(folder: string): boolean {
  return isFile(join(folder, "config.json"));
}
