import { availableParallelism, cpus, totalmem } from "node:os";
import { addon } from "../mlx/addon.js";
import type { ReportAbout } from "./report.js";

/** What a command runs on, as the first key of what it saves. */
export function aboutMachine(): Omit<ReportAbout, "readBandwidth"> {
  const native = addon();
  return {
    date: new Date().toISOString(),
    versions: { mlxGemma: native.version, mlx: native.mlxVersion, node: process.version },
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    device: native.device(),
    kernels: native.kernels(),
    memoryBytes: totalmem(),
  };
}
