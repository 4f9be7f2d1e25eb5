import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { stampAt } from "../file-stamp.js";
import { checkpointError, type JsonLimits, parseJson } from "./json.js";
import { MAX_JSON, reason } from "./plain-file.js";

/** A checkpoint's files, to be read in part: those of a folder, or of a repository on the hub. */
export interface CheckpointFiles {
  /** Path of the folder, or `org/name[@revision]`. */
  readonly name: string;
  /** Absolute path; absent where the files are not on this machine. */
  readonly folder?: string;
  /** How errors, and `TensorInfo.file`, call a file. */
  pathOf(name: string): string;
  /** What a file is like now, as `TensorInfo.stamp`. */
  stampOf(name: string): string;
  /** Bytes of a file; undefined where there is none of that name. */
  size(name: string): Promise<number | undefined>;
  /**
   * Bytes from `offset` on.
   *
   * @throws MlxGemmaError `checkpoint`, or `hub`, when there are not so many.
   */
  read(name: string, offset: number, length: number): Promise<Buffer>;
}

/** The files of a folder. @param name what it is called, if not by its path */
export function folderFiles(folder: string, name = folder): CheckpointFiles {
  const pathOf = (file: string) => join(folder, file);
  return {
    name,
    folder,
    pathOf,
    stampOf: (file) => stampAt(pathOf(file)),
    async size(file) {
      const stats = await stat(pathOf(file)).catch(() => undefined);
      return stats?.isFile() ? stats.size : undefined;
    },
    async read(file, offset, length) {
      const path = pathOf(file);
      let handle: FileHandle;
      try {
        handle = await open(path);
      } catch (error) {
        throw checkpointError(
          path,
          `expected a readable file, found ${reason(error)}; check its permissions`,
        );
      }
      try {
        return await readExactly(handle, path, offset, Buffer.allocUnsafe(length));
      } finally {
        await handle.close();
      }
    },
  };
}

/** Fills a buffer from a file. @throws MlxGemmaError `checkpoint` when the file ends before */
export async function readExactly<T extends Uint8Array>(
  file: FileHandle,
  path: string,
  offset: number,
  buffer: T,
): Promise<T> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) {
      throw checkpointError(
        path,
        `expected ${offset + buffer.length} bytes, found ${offset + done}; download the file again`,
      );
    }
    done += bytesRead;
  }
  return buffer;
}

/**
 * Reads a JSON file, as `readJson`.
 *
 * @returns undefined where there is no such file
 */
export async function readJsonOf(
  files: CheckpointFiles,
  name: string,
  limits: JsonLimits = {},
): Promise<unknown> {
  const size = await files.size(name);
  if (size === undefined) return undefined;
  const path = files.pathOf(name);
  const most = limits.maxBytes ?? MAX_JSON;
  if (size > most)
    throw checkpointError(path, `expected at most ${most} bytes, found ${size}; is this the right file?`);
  return parseJson((await files.read(name, 0, size)).toString("utf8"), path, limits);
}
