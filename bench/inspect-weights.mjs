#!/usr/bin/env node
// How long `mlx-gemma inspect-weights` takes, as a ratio to Node.js itself: on the embedded target, and on a checkpoint
// of 31B in bf16 (61 GB in 13 shards, holes behind real headers). Prints a table; see docs/inspect-weights.md.
//
//   node bench/inspect-weights.mjs [--repetitions N] [--save]
//
// --save writes the raw rows into bench/results/.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../dist/quantiles.js";
import { saveRows } from "./lib/save-rows.mjs";
import { machine } from "./machine.mjs";
import { plan } from "./real-shapes/make.mjs";
import { describeModel } from "./real-shapes/models.mjs";
import { bytesOf, writeCheckpoint } from "./real-shapes/safetensors-writer.mjs";
import { targetTensors } from "./real-shapes/tensors.mjs";

const BIN = fileURLToPath(new URL("../bin/mlx-gemma.js", import.meta.url));
const LAYERS = 60;
const { values } = parseArgs({
  options: { repetitions: { type: "string", default: "15" }, save: { type: "boolean", default: false } },
});
const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-inspect-"));
try {
  const { tensors, config } = fullDepth();
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeCheckpoint(folder, tensors, { seed: 1, metadata: "pt", shardBytes: 5e9, sparse: true });
  const bytes = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  console.log(`31B: ${(bytes / 1e9).toFixed(1)} GB, ${tensors.length} tensors`);
  const commands = [
    ["node -e 0", ["-e", "0"]],
    ["--help", [BIN, "inspect-weights", "--help"]],
    ["embedded target", [BIN, "inspect-weights"]],
    ["31B bf16", [BIN, "inspect-weights", folder]],
    ["31B bf16 --tensors", [BIN, "inspect-weights", folder, "--tensors"]],
    ["31B bf16 --check --headers-only", [BIN, "inspect-weights", folder, "--check", "--headers-only"]],
  ];
  const times = commands.map(() => []);
  for (let repetition = 0; repetition < Number(values.repetitions); repetition++) {
    for (const [i, [, argv]] of commands.entries()) {
      const since = performance.now();
      const { status } = spawnSync(process.execPath, argv, { stdio: "ignore" });
      if (status !== 0) throw new Error(`${argv.join(" ")} ended with ${status}`);
      times[i].push(performance.now() - since);
    }
  }
  const base = median(times[0]);
  for (const [i, [name]] of commands.entries()) {
    const ms = median(times[i]);
    console.log(`${name.padEnd(34)} ${ms.toFixed(0).padStart(5)} ms  ${(ms / base).toFixed(2)} × node`);
  }
  if (values.save) {
    const rows = commands.map(([name], i) => ({ command: name, ms: times[i] }));
    console.error(`rows: ${saveRows("inspect-weights", machine(), rows)}.jsonl`);
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** The 31B target with all of its layers: `models.mjs` keeps one period of their pattern. */
function fullDepth() {
  const { layer_types: period, ...rest } = describeModel("31B").target;
  const layer_types = Array.from({ length: LAYERS }, (_, i) => period[i % period.length]);
  const text_config = { ...rest, num_hidden_layers: LAYERS, layer_types };
  const tensors = targetTensors(text_config).map((tensor) => ({
    ...tensor,
    name: `model.language_model.${tensor.name}`,
  }));
  return { tensors, config: { ...plan("31B", "bf16").target.config, text_config } };
}
