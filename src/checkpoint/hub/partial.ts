import { copyFile, type FileHandle, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type Hasher, hasher, hashFile } from "./digest.js";
import { errorCode } from "./errors.js";
import type { RemoteFile } from "./listing.js";
import type { BlobLock } from "./lock.js";
import { temporaryPath } from "./temporary.js";

/** A blob on its way: a file beside its final name, and the server's name for the bytes it has (an ETag). */
export class PartialBlob {
  #hash: Hasher;
  #done = 0;
  #etag: string | undefined;

  private constructor(
    private readonly file: RemoteFile,
    private readonly path: string,
    private readonly etagPath: string,
    private readonly handle: FileHandle,
  ) {
    this.#hash = hasher(file.digest, file.bytes);
  }

  /**
   * Opens what an earlier run left, or an empty file. Python's huggingface_hub takes names that end in `.incomplete`
   * for remains, and has other ones itself.
   *
   * @param blob final path
   */
  static async open(
    file: RemoteFile,
    blob: string,
    lock: BlobLock,
    signal: AbortSignal | undefined,
  ): Promise<PartialBlob> {
    const path = partialPath(blob);
    const etagPath = `${blob}.mlx-gemma.etag.incomplete`;
    if (lock.takenOver) await ownInode(path);
    const handle = await open(path, "a+", 0o644);
    const partial = new PartialBlob(file, path, etagPath, handle);
    try {
      await partial.#readBack(signal);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return partial;
  }

  /** Bytes that are there. */
  get done(): number {
    return this.#done;
  }

  /** The server's name for the version that the bytes are of; undefined at 0 bytes, or if it gave none. */
  get etag(): string | undefined {
    return this.#etag;
  }

  async #readBack(signal: AbortSignal | undefined): Promise<void> {
    const { size } = await this.handle.stat();
    this.#etag = await readFile(this.etagPath, "utf8").catch(() => undefined);
    // Without the name of its version nothing says that the rest would fit to it.
    if (size === 0) return;
    if (size > this.file.bytes || this.#etag === undefined) return this.restart();
    this.#done = await hashFile(this.path, this.#hash, signal);
  }

  /** Throws away what there is. */
  async restart(): Promise<void> {
    await this.handle.truncate(0);
    await rm(this.etagPath, { force: true });
    this.#hash = hasher(this.file.digest, this.file.bytes);
    this.#done = 0;
    this.#etag = undefined;
  }

  /** Names the version that is being written, before its first byte. */
  async begin(etag: string): Promise<void> {
    await writeFile(this.etagPath, etag);
    this.#etag = etag;
  }

  /** Appends. @returns false, with nothing written, for more bytes than were announced */
  async write(bytes: Uint8Array): Promise<boolean> {
    if (this.#done + bytes.length > this.file.bytes) return false;
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.handle.write(bytes, at);
      at += bytesWritten;
    }
    this.#hash.update(bytes);
    this.#done += bytes.length;
    return true;
  }

  /** Whether the bytes hash to what was announced. Ends the hash: afterwards only `restart` or `publish`. */
  fits(): boolean {
    return this.#done === this.file.bytes && this.#hash.fits();
  }

  /**
   * Gives a whole file its final name, in one step.
   *
   * @returns false when the lock was lost meanwhile and the file may be another's
   */
  async publish(blob: string, lock: BlobLock): Promise<boolean> {
    await this.handle.sync();
    const own = await this.handle.stat();
    const there = await stat(this.path).catch(() => undefined);
    if (there?.ino !== own.ino || there.dev !== own.dev || !(await lock.held())) return false;
    await rename(this.path, blob);
    await syncFolder(dirname(blob));
    await rm(this.etagPath, { force: true });
    return true;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Where the bytes of an unfinished blob lie. */
export function partialPath(blob: string): string {
  return `${blob}.mlx-gemma.incomplete`;
}

/** Makes a file one that nobody else has open: an owner that was thought dead may still write to the old one. */
async function ownInode(path: string): Promise<void> {
  const copy = temporaryPath(dirname(path));
  try {
    await copyFile(path, copy);
    await rename(copy, path);
  } catch (error) {
    await rm(copy, { force: true });
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

/** Makes a rename last through a crash of the machine, where the system can. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // Windows opens no folders.
  }
}
