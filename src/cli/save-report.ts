import { accessSync, constants, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Report } from "../bench/report.js";
import { errorCode } from "../checkpoint/hub/errors.js";
import { MlxGemmaError } from "../errors.js";

/**
 * Whether a report can be written there; its file may be there already.
 *
 * @throws MlxGemmaError `usage` for what is no plain file, `disk` for a folder that is not there or takes no files
 */
export function checkSavable(path: string): void {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !found.isFile()) {
      const what = found.isDirectory() ? "a folder" : "no plain file";
      throw new MlxGemmaError("usage", `--save ${path}: expected a file, found ${what}`);
    }
    accessSync(dirname(resolve(path)), constants.W_OK);
  } catch (error) {
    throw asDiskError(error, path);
  }
}

/**
 * Writes a report; it has its name only when it is whole.
 *
 * @throws MlxGemmaError `disk`
 */
export function saveReport(path: string, report: Report): void {
  const partial = `${path}.${process.pid}.partial`;
  try {
    writeFileSync(partial, `${JSON.stringify(report, null, 1)}\n`);
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw asDiskError(error, path);
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
};

function asDiskError(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (error instanceof MlxGemmaError || code === "") return error;
  const found = FOUND[code] ?? `that it can't be (${code})`;
  return new MlxGemmaError(
    "disk",
    `--save ${path}: expected a place to write to, found ${found}; give another`,
    {
      cause: error,
    },
  );
}
