import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { errorCode } from "./checkpoint/hub/errors.js";

/** A process, as others can tell whether it still runs. */
export interface Owner {
  readonly pid: number;
  readonly machine: string;
}

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

/** Whether a process is known to have ended: one of another machine, boot or container is taken to run. */
export function hasEnded(owner: Owner): boolean {
  return owner.machine === machine() && !isAlive(owner.pid);
}

/** This process in a file's name, so that what it leaves when it is killed can be removed: `<machine>-<pid>`. */
export function ownerTag(pid = process.pid): string {
  return `${createHash("sha256").update(machine()).digest("hex").slice(0, 12)}-${pid}`;
}

/** A file's name that holds an {@link ownerTag}, as `<before><tag><after>`; the tag is its first group. */
export function taggedName(before: string, after: string): RegExp {
  return new RegExp(`^${before}([0-9a-f]{12}-\\d+)${after}$`);
}

/** {@link hasEnded}, by the tag in a file's name. */
export function tagHasEnded(tag: string): boolean {
  const pid = Number(tag.split("-")[1]);
  return tag === ownerTag(pid) && !isAlive(pid);
}

/** Whether a process of this machine runs. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}
