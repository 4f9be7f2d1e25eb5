import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, statSync } from "node:fs";
import { stampOf } from "../file-stamp.js";
import { checkpointError, type JsonLimits, oneLine, parseJson } from "./json.js";

/** Of a JSON file, where nothing else is said. */
export const MAX_JSON = 16 * 1024 * 1024;
const AGAIN = "download the checkpoint again";

/** A plain file that is open for reading: what stands here holds for it, whatever happens to its name. */
export interface OpenFile {
  readonly path: string;
  /** Bytes when it was opened. */
  readonly size: number;
  /** What it was like when it was opened, see `file-stamp.ts`. */
  readonly stamp: string;
  /**
   * Bytes from `position` on.
   *
   * @throws MlxGemmaError `checkpoint` when the file ends before
   */
  read(position: number, length: number): Buffer;
}

/** Whether a path is a plain file, links followed; false for all that can't be looked at. */
export function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Whether a path is a folder, links followed; false for all that can't be looked at. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Whether something is at a path, links followed; true for what can't be looked at: using it says why. */
export function isPresent(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    return !isMissing(error);
  }
}

/**
 * Whether a file that may be absent is there.
 *
 * @throws MlxGemmaError `checkpoint` for what is there but can't be read as a file: a folder, a pipe, a device, a link
 * to nothing, or to itself
 */
export function isThere(path: string): boolean {
  if (!isEntry(path)) return false;
  withPlainFile(path, AGAIN, () => undefined);
  return true;
}

/**
 * Opens a plain file, links followed. A pipe without a writer is not waited for.
 *
 * @param hint what to do about a file that is none
 * @throws MlxGemmaError `checkpoint` when there is none, and as `use` does
 */
export function withPlainFile<T>(path: string, hint: string, use: (file: OpenFile) => T): T {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const found = isMissing(error) && isEntry(path) ? "a link to nothing" : reason(error);
    throw checkpointError(path, `expected a file, found ${found}; ${hint}`);
  }
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    if (!stats.isFile()) {
      const found = stats.isDirectory() ? "a folder" : "no plain file";
      throw checkpointError(path, `expected a file, found ${found}; ${hint}`);
    }
    return use({
      path,
      size: Number(stats.size),
      stamp: stampOf(stats),
      read: (position, length) => readExactly(path, descriptor, position, length),
    });
  } finally {
    closeSync(descriptor);
  }
}

function readExactly(path: string, descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    let read: number;
    try {
      read = readSync(descriptor, buffer, done, length - done, position + done);
    } catch (error) {
      throw checkpointError(path, `expected a readable file, found ${reason(error)}; ${AGAIN}`);
    }
    if (read === 0) {
      throw checkpointError(path, `expected ${position + length} bytes, found ${position + done}; ${AGAIN}`);
    }
    done += read;
  }
  return buffer;
}

/**
 * All bytes of a plain file.
 *
 * @throws MlxGemmaError `checkpoint` when it is missing, no plain file, too large, or was cut while it was read
 */
export function readWhole(path: string, maxBytes: number, hint = AGAIN): Buffer {
  return withPlainFile(path, hint, ({ size, read }) => {
    if (size > maxBytes) {
      throw checkpointError(
        path,
        `expected at most ${maxBytes} bytes, found ${size}; is this the right file?`,
      );
    }
    return read(0, size);
  });
}

/** Reads a text file of bounded size; errors as in {@link readWhole}. */
export function readText(path: string, limits: JsonLimits = {}): string {
  return readWhole(path, limits.maxBytes ?? MAX_JSON).toString("utf8");
}

/**
 * Reads a JSON file.
 *
 * @throws MlxGemmaError `checkpoint` when it is missing, too large, too deep, or no JSON.
 */
export function readJson(path: string, limits: JsonLimits = {}): unknown {
  return parseJson(readText(path, limits), path, limits);
}

/** Whether a folder has an entry of that name, links not followed; true for what can't be looked at. */
function isEntry(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    return !isMissing(error);
  }
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Why a file could not be read, in a few words. */
export function reason(error: unknown): string {
  if (isMissing(error)) return "nothing there";
  const code = codeOf(error);
  if (code === "EACCES" || code === "EPERM") return "no permission to read it";
  if (code === "ELOOP") return "a link that leads to itself";
  if (code === "ENXIO") return "no plain file"; // a socket, or a device without a driver
  return error instanceof Error ? oneLine(error.message) : "an error";
}
