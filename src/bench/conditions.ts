import { readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";

/** What held the processor back, counted since the machine (or its container) started; null where the system does not say. */
export interface Counters {
  /** Milliseconds without a processor, by a container's CPU limit (Linux: cpu.stat of the cgroup). */
  readonly limitedMs: number | null;
  /** Milliseconds of this machine's processors that other virtual machines took (Linux: steal). */
  readonly stolenMs: number | null;
  /** Times that a core was slowed down for its heat (Linux on Intel: thermal_throttle). */
  readonly overheated: number | null;
}

/** What a measurement ran under. */
export interface Conditions extends Counters {
  /** Processes that wanted to run, on average over a minute. */
  readonly loadAverage: number;
}

export function readCounters(): Counters {
  const limited = /^throttled_usec (\d+)$/m.exec(text("/sys/fs/cgroup/cpu.stat"))?.[1];
  // user, nice, system, idle, iowait, irq, softirq, steal; in hundredths of a second.
  const stolen = /^cpu(?: +\d+){7} +(\d+)/m.exec(text("/proc/stat"))?.[1];
  return {
    limitedMs: limited === undefined ? null : Number(limited) / 1000,
    stolenMs: stolen === undefined ? null : Number(stolen) * 10,
    overheated: overheated(),
  };
}

/** What has come since `before`. */
export function conditionsSince(before: Counters): Conditions {
  const now = readCounters();
  const grown = (key: keyof Counters) => {
    const [from, to] = [before[key], now[key]];
    return from === null || to === null ? null : Math.max(0, to - from);
  };
  return {
    loadAverage: loadavg()[0] ?? 0,
    limitedMs: grown("limitedMs"),
    stolenMs: grown("stolenMs"),
    overheated: grown("overheated"),
  };
}

/** Those of several measurements: the largest load, sums of the rest. */
export function together(all: readonly Conditions[]): Conditions {
  const sum = (key: keyof Counters) =>
    all.reduce<number | null>(
      (total, { [key]: value }) => (value === null ? total : (total ?? 0) + value),
      null,
    );
  return {
    loadAverage: Math.max(0, ...all.map(({ loadAverage }) => loadAverage)),
    limitedMs: sum("limitedMs"),
    stolenMs: sum("stolenMs"),
    overheated: sum("overheated"),
  };
}

function overheated(): number | null {
  const counts = cores().flatMap((core) => {
    const count = text(`/sys/devices/system/cpu/${core}/thermal_throttle/core_throttle_count`).trim();
    return count === "" ? [] : [Number(count)];
  });
  return counts.length > 0 ? counts.reduce((sum, n) => sum + n, 0) : null;
}

function cores(): string[] {
  try {
    return readdirSync("/sys/devices/system/cpu").filter((name) => /^cpu\d+$/.test(name));
  } catch {
    return [];
  }
}

/** A file of the system; empty where there is none. */
function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
