import { readFileSync } from "node:fs";
import os from "node:os";

/** Physical cores that this process may run on: what CPU kernels are best run with. */
export function physicalCores() {
  const available = os.availableParallelism();
  try {
    const packages = readFileSync("/proc/cpuinfo", "utf8").split("\n\n");
    const cores = packages.flatMap((text) => {
      const id = (key) => new RegExp(`^${key}\\s*: (\\d+)`, "m").exec(text)?.[1];
      const core = id("core id");
      return core === undefined ? [] : [`${id("physical id")}:${core}`];
    });
    return Math.min(available, new Set(cores).size || available);
  } catch {
    return available; // Not Linux.
  }
}

/** Bytes that programs can get without swapping. */
export function availableMemory() {
  try {
    const kilobytes = /^MemAvailable:\s*(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    if (kilobytes) return Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  return os.freemem();
}
