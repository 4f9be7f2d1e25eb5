// What a benchmark ran on: part of every saved result.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import { addon } from "../dist/mlx/addon.js";

export function machine() {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const git = (...args) => {
    try {
      return execFileSync("git", args, { cwd: new URL("..", import.meta.url), encoding: "utf8" }).trim();
    } catch {
      return "unknown";
    }
  };
  const native = addon();
  return {
    date: new Date().toISOString(),
    commit: git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain") === "" ? "" : "-dirty"),
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    loadAverage: os.loadavg()[0],
    platform: `${process.platform} ${process.arch}`,
    kernels: native.kernels(),
    versions: { mlxGemma: manifest.version, mlx: native.mlxVersion, node: process.version },
  };
}
