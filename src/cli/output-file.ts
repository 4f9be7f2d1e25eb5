import { accessSync, constants, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { errorCode } from "../checkpoint/hub/errors.js";
import { MlxGemmaError } from "../errors.js";
import { ownerTag, taggedName, tagHasEnded } from "../process-alive.js";

/**
 * Whether files can be written where options want them; they may be there already.
 *
 * @param paths by option, such as `--save`
 * @throws MlxGemmaError `usage` for what is no plain file or wanted by two options, `disk` for a folder that is not
 * there or takes no files
 */
export function checkOutputs(paths: Readonly<Record<string, string | undefined>>): void {
  const taken = new Map<string, string>();
  for (const [option, path] of Object.entries(paths)) {
    if (path === undefined) continue;
    const other = taken.get(resolve(path));
    if (other !== undefined) {
      throw new MlxGemmaError(
        "usage",
        `${option} ${path}: expected a file of its own, found that of ${other}`,
      );
    }
    taken.set(resolve(path), option);
    checkOutput(option, path);
  }
}

function checkOutput(option: string, path: string): void {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !found.isFile()) {
      const what = found.isDirectory() ? "a folder" : "no plain file";
      throw new MlxGemmaError("usage", `${option} ${path}: expected a file, found ${what}`);
    }
    accessSync(dirname(resolve(path)), constants.W_OK);
  } catch (error) {
    throw asDiskError(error, option, path);
  }
}

/**
 * Writes the file that an option asks for; it has its name only when it is whole.
 *
 * @param mode its permissions; default: as files get them here
 * @throws MlxGemmaError `disk`
 */
export function writeOutput(option: string, path: string, text: string, mode?: number): void {
  try {
    replaceFile(path, text, mode);
  } catch (error) {
    throw asDiskError(error, option, path);
  }
}

/** What is added to a name until then. */
const PARTIAL = taggedName("\\.", "\\.partial");

/** Writes a file that has its name only when it is whole and on the disk. What a killed process left of it goes. */
export function replaceFile(path: string, text: string, mode?: number): void {
  removeLeftovers(path);
  const partial = `${path}.${ownerTag()}.partial`;
  try {
    writeFileSync(partial, text, { mode, flush: true });
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

function removeLeftovers(path: string): void {
  const [folder, name] = [dirname(resolve(path)), basename(path)];
  for (const other of readdirSync(folder)) {
    const tag = other.startsWith(name) && PARTIAL.exec(other.slice(name.length))?.[1];
    if (tag && tagHasEnded(tag)) rmSync(join(folder, other), { force: true });
  }
}

const FOUND: Readonly<Record<string, string>> = {
  ENOENT: "no such folder",
  ENOTDIR: "no such folder",
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "a read-only disk",
  ENOSPC: "the disk full",
  EDQUOT: "the disk full",
  EFBIG: "a file that may not grow further (ulimit -f)",
};

function asDiskError(error: unknown, option: string, path: string): unknown {
  const code = errorCode(error);
  if (error instanceof MlxGemmaError || code === "") return error;
  const found = FOUND[code] ?? `that it can't be (${code})`;
  return new MlxGemmaError(
    "disk",
    `${option} ${path}: expected a place to write to, found ${found}; give another`,
    {
      cause: error,
    },
  );
}
