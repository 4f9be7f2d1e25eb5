#!/usr/bin/env node
// `npm run test:sanitizers`: the kernels and their threads, and no JavaScript engine around them, under AddressSanitizer with UBSan
// and under ThreadSanitizer; GCC or clang, on Linux. Each must also find defects that are planted. Built in build/sanitize.
// The last line counts runs of the C++ tests and planted defects. Exit code 1 where anything was found, or a plant was not.
//
//   --only address|thread   one of them
//   --nightly               every group of tests in every instruction set, not the short choice below
//   --save                  a row for each run in bench/results/reliability/
import { parseArgs } from "node:util";
import { buildCppTest, root } from "./cpp-tests.mjs";
import { run } from "./setup/run.mjs";
import { Lack, sayLack } from "./setup/tell.mjs";

/** Groups of tests: `short` calls every kernel, in seconds; `all`, when empty, is every group. */
const SANITIZERS = {
  address: {
    flags: "address,undefined",
    // Leaks: MLX keeps streams, compiled functions and its cache to the end of the process.
    environment: {
      ASAN_OPTIONS: "detect_leaks=0:detect_stack_use_after_return=1",
      UBSAN_OPTIONS: "print_stacktrace=1",
    },
    short: ["accuracy", "pool"],
    all: [],
    plants: {
      "read-beyond": /AddressSanitizer: heap-buffer-overflow/,
      "write-beyond": /AddressSanitizer: heap-buffer-overflow/,
      "read-freed": /AddressSanitizer: heap-use-after-free/,
      overflow: /runtime error: signed integer overflow/,
    },
  },
  thread: {
    flags: "thread",
    environment: { TSAN_OPTIONS: `suppressions=${root}/native/kernels/test/tsan.supp:halt_on_error=1` },
    short: ["pool", "accuracy"],
    all: ["pool", "accuracy", "blocks"],
    plants: { race: /ThreadSanitizer: data race/, "no-wait": /ThreadSanitizer: data race/ },
  },
};
const SETS = process.arch === "arm64" ? ["neon"] : ["scalar", "avx2", "avx512", "amx"];
/** What a run that found something prints, of all that these tools print. */
const FINDING = /AddressSanitizer: |runtime error: |ThreadSanitizer: |^FAILED /;

const { values: flags } = parseArgs({
  options: { only: { type: "string" }, nightly: { type: "boolean" }, save: { type: "boolean" } },
});

async function main() {
  if (flags.only !== undefined && !(flags.only in SANITIZERS))
    throw new Lack(`--only: expected address or thread, found ${flags.only}`, "npm run test:sanitizers");
  const started = performance.now();
  const rows = [];
  for (const name of flags.only ? [flags.only] : Object.keys(SANITIZERS))
    rows.push(...(await sanitize(name)));
  const failed = rows.filter(({ ok }) => !ok).length;
  const summary = { what: "sanitizers", tried: rows.length, failed, seconds: secondsSince(started) };
  if (flags.save) await save([summary, ...rows]);
  console.log(`${rows.length - failed} passed, ${failed} failed`);
  console.log(JSON.stringify(summary));
  if (failed > 0) process.exitCode = 1;
}

async function sanitize(name) {
  const { flags: fsanitize, environment, short, all, plants } = SANITIZERS[name];
  const program = await buildCppTest("kernels_test", `sanitize/${name}`, { MLX_GEMMA_SANITIZE: fsanitize });
  const rows = [];
  const tryOut = async (isa, words, wanted) => {
    const started = performance.now();
    const env = { ...process.env, ...environment, MLX_GEMMA_ISA: isa };
    const { code, lines } = await run(program, words, { cwd: root, env });
    const found = lines.find((line) => FINDING.test(line));
    const checks = Number(lines.at(-1)?.match(/^(\d+) passed, 0 failed$/)?.[1] ?? 0);
    // Another processor: the test says so.
    if (lines.some((line) => /has no such instruction set/.test(line))) return false;
    const ok = wanted ? code !== 0 && wanted.test(found ?? "") : code === 0 && !found && checks > 0;
    const row = { sanitizer: name, isa, run: words.join(" ") || "all", ok, seconds: secondsSince(started) };
    rows.push(wanted ? { ...row, planted: true } : { ...row, checks });
    console.log(JSON.stringify(rows.at(-1)));
    if (!ok) console.log(wanted ? `NOT FOUND: ${words.join(" ")}\n${lines.join("\n")}` : lines.join("\n"));
    return true;
  };
  for (const isa of SETS) {
    if (!(await tryOut(isa, flags.nightly ? all : short))) continue;
    for (const [defect, wanted] of Object.entries(plants)) await tryOut(isa, ["--plant", defect], wanted);
  }
  return rows;
}

function secondsSince(started) {
  return Math.round((performance.now() - started) / 100) / 10;
}

async function save(rows) {
  const [{ saveRows }, { machine }] = await Promise.all([
    import("../bench/lib/save-rows.mjs"),
    import("../bench/machine.mjs"),
  ]);
  console.log(`rows: ${saveRows("reliability/sanitizers", machine(), rows)}.jsonl`);
}

main().catch((error) => {
  if (!(error instanceof Lack)) throw error;
  sayLack(error);
  process.exitCode = 1;
});
