import { createHash, randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { isAlive } from "../../process-alive.js";

/**
 * Where process ids have one meaning: on Linux a boot and a namespace (containers), elsewhere the host's name.
 */
export function machine(): string {
  const parts = [hostname()];
  try {
    parts.push(
      readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      readlinkSync("/proc/self/ns/pid"),
    );
  } catch {
    // Not Linux: the name is all there is.
  }
  return parts.join(" ");
}

/**
 * A name for a file that is not finished; it says whose it is, so that what a killed process left can be removed. Python's
 * huggingface_hub takes names that end in `.incomplete` for remains.
 */
export function temporaryPath(folder: string): string {
  return join(folder, `.${tag()}-${process.pid}-${randomUUID()}.incomplete`);
}

/** Removes temporary files of this machine's processes that are gone. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, owner, pid] = /^\.([0-9a-f]{12})-(\d+)-[0-9a-f-]{36}\.incomplete$/.exec(name) ?? [];
    if (owner === tag() && !isAlive(Number(pid))) await rm(join(folder, name), { force: true });
  }
}

function tag(): string {
  return createHash("sha256").update(machine()).digest("hex").slice(0, 12);
}
