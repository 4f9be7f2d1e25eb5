// What a benchmark ran on: part of every saved result.
import { execFileSync } from "node:child_process";
import os from "node:os";
import { aboutMachine } from "../dist/bench/about.js";

export function machine() {
  const git = (...args) => {
    try {
      return execFileSync("git", args, { cwd: new URL("..", import.meta.url), encoding: "utf8" }).trim();
    } catch {
      return "unknown";
    }
  };
  const { date, cpu, cores, platform, kernels, versions } = aboutMachine();
  // What runs write is no other program.
  const changed = git("status", "--porcelain", "--", ".", ":!bench/results", ":!docs/reliability.md");
  const commit = git("rev-parse", "--short", "HEAD") + (changed === "" ? "" : "-dirty");
  return { date, commit, cpu, cores, loadAverage: os.loadavg()[0], platform, kernels, versions };
}
