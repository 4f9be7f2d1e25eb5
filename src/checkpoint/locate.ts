import { realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MlxGemmaError } from "../errors.js";
import { checkpointError, describe, isFile, isObject, quote, readJson } from "./json.js";

/** `src/checkpoint` and `dist/checkpoint` lie equally deep in the package. */
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Absolute path of the embedded pair's target. */
export const EMBEDDED_TARGET = join(PACKAGE, "models", "tiny-gemma4", "target");

/**
 * Absolute path of a checkpoint's folder; the embedded target when none is given.
 *
 * @throws MlxGemmaError `checkpoint` when there is no folder, or no config.json in it.
 */
export function locateFolder(path?: string): string {
  const folder = resolve(path ?? EMBEDDED_TARGET);
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (!stats) {
    const hub = path !== undefined && /^[\w.-]+\/[\w.-]+$/.test(path);
    throw checkpointError(
      folder,
      `expected the folder of a checkpoint, found nothing there; ${
        hub
          ? "this version downloads nothing: get the checkpoint first, then give its folder"
          : "check the path"
      }`,
    );
  }
  if (!stats.isDirectory()) {
    throw checkpointError(
      folder,
      `expected the folder of a checkpoint, found a file; give the folder that holds config.json`,
    );
  }
  if (!isFile(join(folder, "config.json"))) {
    throw checkpointError(
      folder,
      "expected config.json in the folder, found none; give the folder that holds it",
    );
  }
  return folder;
}

/**
 * The assistant that belongs to a target: the one that `assistant` in its config.json or generation_config.json
 * names (a path relative to the target's folder), else `<name>-assistant` beside it, else `assistant` beside it.
 *
 * @throws MlxGemmaError `checkpoint` that tells where it looked, or that what the config names isn't there.
 */
export function findAssistant(targetFolder: string): string {
  const folder = resolve(targetFolder);
  const named = namedAssistant(folder);
  if (named) {
    const path = resolve(folder, named.path);
    if (holdsConfig(path)) return path;
    throw checkpointError(
      named.file,
      `assistant: expected the folder of an assistant at ${path}, found no config.json there; download it there, or give its folder as the drafter`,
    );
  }
  const candidates = candidatesBeside(folder);
  const found = candidates.find(holdsConfig);
  if (found !== undefined) return found;
  throw new MlxGemmaError(
    "checkpoint",
    `${folder}: expected its assistant at ${candidates.join(" or ")}, or named by "assistant" in config.json, found none; ` +
      "give the assistant's folder as the drafter, or draft with none",
  );
}

function candidatesBeside(folder: string): string[] {
  const places = new Set([folder]);
  try {
    places.add(realpathSync(folder));
  } catch {
    // The folder's own place is enough; opening it will say what is wrong.
  }
  return [...places].flatMap((place) => [
    join(dirname(place), `${basename(place)}-assistant`),
    join(dirname(place), "assistant"),
  ]);
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
