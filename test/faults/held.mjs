import { readdirSync, readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { addon } from "../../dist/mlx/addon.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");

/** What is held after all that can be collected is gone; finalizers run between turns. */
export async function held() {
  for (let turn = 0; turn < 4; turn++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { counters, memory, clearCache } = addon();
  clearCache();
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
  return {
    rss,
    heapTotal,
    heapUsed,
    external,
    arrayBuffers,
    active: memory().active,
    cache: memory().cache,
    liveArrays: counters().liveArrays,
    resources: process.getActiveResourcesInfo().join(" "),
    ...ofLinux(),
  };
}

/** Open files, and the parts of RSS: what is ours to grow is not backed by a file. */
function ofLinux() {
  if (process.platform !== "linux") return {};
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (name) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  return {
    files: readdirSync("/proc/self/fd").length,
    threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]),
    rssAnonymous: bytes("RssAnon"),
    rssFiles: bytes("RssFile"),
  };
}
