import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { mkdir, open, rename, rm, rmdir, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { errorCode } from "../checkpoint/hub/errors.js";
import { isObject } from "../checkpoint/json.js";
import { readJson } from "../checkpoint/plain-file.js";
import { MlxGemmaError } from "../errors.js";
import { ownerTag, taggedName, tagHasEnded } from "../process-alive.js";

/** In a finished folder: what wrote it, from what, and which files are its own. */
export const MANIFEST = "mlx-gemma-quantize.json";
/** In an unfinished one: which files it may hold. */
const MARKER = ".mlx-gemma-writing.json";

/** A folder that has its name only when it is whole. */
export interface OutputFolder {
  /** Where to write until then. */
  readonly temporary: string;
  /** The final place. */
  readonly folder: string;
  /** Leftovers of earlier runs that were removed, and what could not be. */
  readonly notes: readonly string[];
  /** Gives it its name. @throws MlxGemmaError `usage` where the name was taken meanwhile, as {@link checkOutput} */
  finish(): Promise<void>;
  /** Removes what was written; harmless after {@link finish}. */
  discard(): Promise<void>;
}

/** Checks that a name is free, or may be replaced. @throws MlxGemmaError `usage`, `disk` when it can't be looked at */
export function checkOutput(output: string, force: boolean): string {
  if (output === "") throw usage("the output", "an empty path", "give the name of a new folder");
  const folder = existsSync(output) ? realpathSync(output) : resolve(output);
  // The last step is a rename, which would take the folder away from whoever stands in it.
  if (isWithin(realpathSync("."), folder)) {
    throw usage(folder, "the current folder, or one above it", "give the name of a new folder");
  }
  let entries: string[];
  try {
    const stats = lstatSync(folder, { throwIfNoEntry: false });
    if (!stats) return folder;
    if (!stats.isDirectory()) throw usage(folder, "a file", "give the name of a new folder");
    entries = readdirSync(folder);
  } catch (error) {
    throw asDiskError(folder, error);
  }
  if (entries.length === 0) return folder;
  const own = filesOf(join(folder, MANIFEST));
  if (!own) {
    throw usage(
      folder,
      `a folder with ${count(entries.length)}`,
      "give a new name; what mlx-gemma did not write is never replaced",
    );
  }
  const strange = entries.find((name) => name !== MANIFEST && !own.includes(name));
  if (strange !== undefined) {
    throw usage(
      folder,
      `${JSON.stringify(strange)} beside an earlier output`,
      "move it away, or give a new name",
    );
  }
  if (!force)
    throw usage(folder, "the output of an earlier run", "give --force to replace it, or a new name");
  return folder;
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`);
}

/**
 * Makes the folder to write into, beside the final one, so that the last step is a rename. Leftovers of earlier runs
 * for the same name are removed when the process that made them is gone.
 *
 * @param files the names that will be written
 * @throws MlxGemmaError `usage` as {@link checkOutput}, `disk` when nothing can be written there
 */
export async function openOutput(
  output: string,
  options: { readonly force: boolean; readonly files: readonly string[] },
): Promise<OutputFolder> {
  const folder = checkOutput(output, options.force);
  const parent = dirname(folder);
  return await onDisk(folder, async () => {
    mkdirSync(parent, { recursive: true });
    const notes = await removeLeftovers(parent, basename(folder));
    checkOutput(folder, options.force); // An earlier output may have come back.
    const temporary = join(
      parent,
      `${leftoverPrefix(basename(folder))}${ownerTag()}-${randomBytes(4).toString("hex")}`,
    );
    await mkdir(temporary);
    const files = [...options.files, MANIFEST];
    await writeFile(join(temporary, MARKER), JSON.stringify({ files }));
    return {
      temporary,
      folder,
      notes,
      finish: () => onDisk(folder, () => finish(temporary, folder, options.force)),
      discard: () => removeOwn(temporary, files).then(() => {}),
    };
  });
}

/** Runs what writes; the system's errors become `disk` ones. */
export async function onDisk<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asDiskError(where, error);
  }
}

function asDiskError(where: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    const full =
      code === "EFBIG" ? "a file that may not grow further (ulimit -f)" : `the disk full (${code})`;
    return new MlxGemmaError(
      "disk",
      `${where}: expected room to write, found ${full}; free some, or give another disk`,
      { cause: error },
    );
  }
  if (["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST", "EIO", "ENAMETOOLONG", "ELOOP"].includes(code)) {
    return new MlxGemmaError(
      "disk",
      `${where}: expected a place to write, found ${code}; give a folder of yours`,
      { cause: error },
    );
  }
  return error;
}

async function finish(temporary: string, folder: string, force: boolean): Promise<void> {
  await unlink(join(temporary, MARKER));
  await syncFolder(temporary);
  checkOutput(folder, force);
  const old = filesOf(join(folder, MANIFEST));
  // Between the two renames there is no folder of that name; a run that finds it so puts the old one back.
  const aside = `${temporary}-replaced`;
  try {
    if (old) await rename(folder, aside);
    await rename(temporary, folder); // Over an empty folder, too.
  } catch (error) {
    if (old) await rename(aside, folder).catch(() => {});
    if (!TAKEN.includes(errorCode(error))) throw error;
    throw usage(folder, "one that another run wrote meanwhile", "run again, with a new name or --force");
  }
  if (old) await removeOwn(aside, [...old, MANIFEST]);
  await syncFolder(dirname(folder));
}

/** What systems say of renames when something took the name, or took it away. */
const TAKEN = ["ENOTEMPTY", "EEXIST", "ENOTDIR", "ENOENT"];

async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function leftoverPrefix(base: string): string {
  return `.${base}.mlx-gemma-`;
}

/** What follows the prefix. */
const LEFTOVER = taggedName("", "-[0-9a-f]{8}(?:-replaced)?");

async function removeLeftovers(parent: string, base: string): Promise<string[]> {
  const prefix = leftoverPrefix(base);
  const notes: string[] = [];
  for (const name of readdirSync(parent)) {
    const tag = name.startsWith(prefix) && LEFTOVER.exec(name.slice(prefix.length))?.[1];
    if (!tag) continue;
    const path = join(parent, name);
    if (!tagHasEnded(tag)) {
      notes.push(
        `another run is writing ${base} (${path}): the one that ends last will find the name taken; remove that folder if it is of a run before a restart`,
      );
      continue;
    }
    if (name.endsWith("-replaced") && !existsSync(join(parent, base))) {
      await rename(path, join(parent, base)); // Killed between the two renames of finish().
      notes.push(`${base} has its earlier output back, which a killed run had moved to ${path}`);
      continue;
    }
    const files = filesOf(join(path, MARKER)) ?? filesOf(join(path, MANIFEST)) ?? [];
    if (await removeOwn(path, [...files, MANIFEST])) notes.push(`removed what a killed run left: ${path}`);
    else
      notes.push(
        `a killed run left ${path}, with files that mlx-gemma did not write; look at it and remove it`,
      );
  }
  return notes;
}

/** Removes the named files, then the folder; false when something else is in it. */
async function removeOwn(folder: string, files: readonly string[]): Promise<boolean> {
  for (const name of [...files, MARKER]) {
    if (isPlain(name)) await rm(join(folder, name), { force: true });
  }
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    return errorCode(error) === "ENOENT";
  }
}

/** The `files` of a manifest or marker; undefined when there is none, or a broken one. */
function filesOf(path: string): string[] | undefined {
  const files = readObject(path)?.files;
  if (!Array.isArray(files)) return undefined;
  return files.filter((name): name is string => typeof name === "string" && isPlain(name));
}

function isPlain(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name);
}

function readObject(path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = readJson(path);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function count(entries: number): string {
  return entries === 1 ? "1 file in it" : `${entries} files in it`;
}

function usage(folder: string, found: string, advice: string): MlxGemmaError {
  return new MlxGemmaError(
    "usage",
    `${folder}: expected a new or empty folder for the output, found ${found}; ${advice}`,
  );
}
