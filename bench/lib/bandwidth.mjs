import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("read_bandwidth.cpp", import.meta.url));

/** A function that measures the read bandwidth with `threads`, in bytes per second; its program is built in `folder`. */
export function bandwidthMeter(folder, threads) {
  const program = join(folder, "read_bandwidth");
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(SOURCE).mtimeMs) {
    mkdirSync(folder, { recursive: true });
    const compiler = process.env.CXX ?? "c++";
    execFileSync(compiler, ["-std=c++17", "-O3", "-march=native", "-pthread", SOURCE, "-o", program]);
  }
  return () => Number(execFileSync(program, [String(threads)], { encoding: "utf8" }));
}
