import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/** How much more memory this process can have. */
export interface MemoryRoom {
  readonly bytes: number;
  /** What sets the bound, in a few words. */
  readonly bound: string;
}

/** A small text file of the kernel's; undefined where there is none. */
type Read = (path: string) => string | undefined;

/**
 * The tightest of what is free on the machine, what the control groups leave, and `ulimit -v`. What the kernel would give
 * back (files in its cache, swap) counts as free: only what can't be had is to be refused. Elsewhere than on Linux it is
 * all the machine has.
 *
 * @param read for tests
 */
export function memoryRoom(read: Read = readText): MemoryRoom {
  const swap = kilobytes(read("/proc/meminfo"), "SwapFree") ?? 0;
  const rooms = [machine(read, swap), ...controlGroups(read, swap), addressSpace(read)];
  return rooms.reduce<MemoryRoom>((least, room) => (room && room.bytes < least.bytes ? room : least), {
    bytes: totalmem() + swap,
    bound: "this machine's",
  });
}

function machine(read: Read, swap: number): MemoryRoom | undefined {
  const free = kilobytes(read("/proc/meminfo"), "MemAvailable");
  return free === undefined ? undefined : { bytes: free + swap, bound: "free on this machine" };
}

function controlGroups(read: Read, swap: number): MemoryRoom[] {
  const lines = read("/proc/self/cgroup")?.split("\n") ?? [];
  return lines.flatMap((line) => {
    const [id, controllers = "", ...path] = line.split(":");
    const group = path.join(":");
    if (id === "0" && controllers === "")
      return upwards(group, (at) => unified(read, `/sys/fs/cgroup${at}`, swap));
    if (!controllers.split(",").includes("memory")) return [];
    return upwards(group, (at) => legacy(read, `/sys/fs/cgroup/memory${at}`));
  });
}

/** What a group and those around it leave: any of them may be the tightest. */
function upwards(group: string, room: (path: string) => number | undefined): MemoryRoom[] {
  const rooms: MemoryRoom[] = [];
  for (let path = group.replace(/\/$/, ""); ; path = path.slice(0, path.lastIndexOf("/"))) {
    const bytes = room(path);
    if (bytes !== undefined) rooms.push({ bytes, bound: "left of the container's limit" });
    if (path === "") return rooms;
  }
}

function unified(read: Read, folder: string, swap: number): number | undefined {
  const limit = count(read(`${folder}/memory.max`));
  if (limit === undefined) return undefined;
  const used = count(read(`${folder}/memory.current`)) ?? 0;
  const most = count(read(`${folder}/memory.swap.max`)) ?? swap;
  const swapped = count(read(`${folder}/memory.swap.current`)) ?? 0;
  const more = Math.min(swap, Math.max(0, most - swapped));
  return left(limit, used, cached(read(`${folder}/memory.stat`), "")) + more;
}

/** Control groups of version 1, whose limit on swap is left out. */
function legacy(read: Read, folder: string): number | undefined {
  const limit = count(read(`${folder}/memory.limit_in_bytes`));
  if (limit === undefined) return undefined;
  const used = count(read(`${folder}/memory.usage_in_bytes`)) ?? 0;
  return left(limit, used, cached(read(`${folder}/memory.stat`), "total_"));
}

function left(limit: number, used: number, cache: number): number {
  return Math.min(limit, Math.max(0, limit - used + cache));
}

/** Bytes of files that the kernel keeps for a group, and gives back when it needs them. */
function cached(stat: string | undefined, prefix: string): number {
  const of = (name: string) => count(new RegExp(`^${prefix}${name} (\\d+)$`, "m").exec(stat ?? "")?.[1]) ?? 0;
  return of("inactive_file") + of("active_file");
}

function addressSpace(read: Read): MemoryRoom | undefined {
  const limit = count(/^Max address space\s+(\d+)/m.exec(read("/proc/self/limits") ?? "")?.[1]);
  if (limit === undefined) return undefined;
  const used = kilobytes(read("/proc/self/status"), "VmSize") ?? 0;
  return { bytes: Math.max(0, limit - used), bound: "left of ulimit -v" };
}

function kilobytes(text: string | undefined, name: string): number | undefined {
  const found = count(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text ?? "")?.[1]);
  return found === undefined ? undefined : found * 1024;
}

/** A whole number; undefined for "max" and the like. */
function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
