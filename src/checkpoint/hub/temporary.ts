import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ownerTag, taggedName, tagHasEnded } from "../../process-alive.js";

const NAME = taggedName("\\.", "-[0-9a-f-]{36}\\.incomplete");

/**
 * A name for a file that is not finished; it says whose it is, so that what a killed process left can be removed. Python's
 * huggingface_hub takes names that end in `.incomplete` for remains.
 */
export function temporaryPath(folder: string): string {
  return join(folder, `.${ownerTag()}-${randomUUID()}.incomplete`);
}

/** Removes temporary files of this machine's processes that are gone. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const tag = NAME.exec(name)?.[1];
    if (tag && tagHasEnded(tag)) await rm(join(folder, name), { force: true });
  }
}
