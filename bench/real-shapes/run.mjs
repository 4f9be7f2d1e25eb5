#!/usr/bin/env node
// Loads and runs random checkpoints of the real models' shapes: is every name, shape and dtype taken, is drafted text
// plain text, does loading hold one copy of the weights? See docs/real-shapes.md.
//
//   node bench/real-shapes/run.mjs [--models E2B,E4B,…] [--formats bf16,4bit] [--tokens 32] [--draft-tokens 3]
//                                  [--threads N] [--work DIR] [--save]
//
// One model is on disk at a time, in a temporary folder that is deleted afterwards. --save writes the raw rows to
// bench/results/. Exit code 1 when ids differ or memory is above its bound.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { saveRows } from "../lib/save-rows.mjs";
import { table } from "../lib/table.mjs";
import { machine } from "../machine.mjs";
import { FORMATS, gigabytes, sizeOf } from "./make.mjs";
import { MODELS } from "./models.mjs";

/** Peak memory that a load may take: the weights and a little more. */
const bound = (bytes) => 1.15 * bytes + 300e6;

const HEAD = [
  "model",
  "weights",
  "headers",
  "tokenizer",
  "target",
  "assistant",
  "load",
  "encode",
  "peak ÷ bound",
  "distinct ids",
  "accepted",
  "ids",
];

const { values: flags } = parseArgs({
  options: {
    models: { type: "string", default: MODELS.join(",") },
    formats: { type: "string", default: FORMATS.join(",") },
    tokens: { type: "string", default: "32" },
    "draft-tokens": { type: "string", default: "3" },
    threads: { type: "string", default: "0" },
    work: { type: "string", default: os.tmpdir() },
    save: { type: "boolean", default: false },
  },
});
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const rows = [];
for (const model of flags.models.split(",")) {
  for (const format of flags.formats.split(",")) rows.push(runOne(model, format));
}
printTable();
if (flags.save) save();
if (!rows.every(({ good }) => good)) process.exitCode = 1;

function runOne(model, format) {
  const need = sizeOf(model, format);
  const disk = statfsSync(flags.work);
  // The page cache holds the file beside the weights, but gives way.
  const free = process.availableMemory();
  const lack =
    need * 1.05 > disk.bavail * disk.bsize
      ? `${gigabytes(need)} of disk needed in ${flags.work}, ${gigabytes(disk.bavail * disk.bsize)} free`
      : bound(need) > free
        ? `${gigabytes(bound(need))} of memory needed, ${gigabytes(free)} free`
        : undefined;
  if (lack) return { model, format, good: false, error: lack };
  const folder = mkdtempSync(join(flags.work, "real-shapes-"));
  try {
    const made = performance.now();
    const pair = join(folder, "pair");
    execFileSync(process.execPath, [path("make.mjs"), "--model", model, "--format", format, "--out", pair]);
    const makeMs = performance.now() - made;
    process.stderr.write(`${model} ${format}: made in ${(makeMs / 1000).toFixed(0)} s\n`);
    const measure = (...args) =>
      JSON.parse(execFileSync(process.execPath, [path("measure.mjs"), ...args], { encoding: "utf8" }));
    const { bytes, phases: parts } = measure("parts", pair, flags.threads);
    const report = measure("generate", pair, flags.threads, flags.tokens, flags["draft-tokens"]);
    const sameIds = [report.drafted, report.replayed].every(
      ({ tokenIds }) => JSON.stringify(tokenIds) === JSON.stringify(report.plain.tokenIds),
    );
    const fits = report.peak <= bound(bytes);
    return {
      model,
      format,
      good: sameIds && fits,
      sameIds,
      fits,
      bound: bound(bytes),
      makeMs,
      bytes,
      ...report,
      phases: [...parts, ...report.phases],
    };
  } catch (error) {
    const said = String(error.stderr ?? "")
      .trim()
      .split("\n")
      .at(-1);
    return { model, format, good: false, error: said || String(error.message).split("\n")[0] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function printTable() {
  console.log(table(HEAD, rows.map(lineOf)));
}

function lineOf(row) {
  const name = `${row.model} ${row.format}`;
  if (row.error) return [name, ...HEAD.slice(2).map(() => ""), row.error];
  const time = (phase) => {
    const ms = row.phases.find(({ name }) => name === phase).ms;
    return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
  };
  return [
    name,
    gigabytes(row.bytes),
    ...["headers", "tokenizer", "target", "assistant", "load", "encodePrompt"].map(time),
    `${gigabytes(row.peak)} ÷ ${gigabytes(row.bound)}${row.fits ? "" : " TOO MUCH"}`,
    new Set(row.plain.tokenIds).size,
    `${row.drafted.accepted}/${row.drafted.proposed}, ${row.replayed.accepted}/${row.replayed.proposed}`,
    row.sameIds ? "equal" : "DIFFER",
  ];
}

function save() {
  const settings = {
    tokens: Number(flags.tokens),
    draftTokens: Number(flags["draft-tokens"]),
    threads: Number(flags.threads),
  };
  const path = saveRows("real-shapes", { ...machine(), ...settings }, rows);
  process.stderr.write(`raw rows: ${path}.jsonl\n`);
}
