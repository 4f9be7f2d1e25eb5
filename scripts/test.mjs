#!/usr/bin/env node
// `npm test`: format and lint, types, C++ tests, vitest. All of them run, also when one fails, and the last line counts:
// `N passed, N failed, N skipped`. A step that counts no tests of its own (lint, types) is one test.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const work = mkdtempSync(join(tmpdir(), "mlx-gemma-test-"));
const report = join(work, "vitest.json");

const steps = [
  {
    name: "biome",
    args: [
      bin("@biomejs/biome", "bin/biome"),
      "ci",
      `--colors=${process.stdout.isTTY ? "force" : "off"}`,
      ".",
    ],
  },
  { name: "clang-format", args: ["scripts/clang-format.mjs"] },
  { name: "types", args: [bin("typescript", "bin/tsc"), "--noEmit"] },
  { name: "C++ tests", args: ["scripts/native-tests.mjs"], count: countOfLastLine },
  ...(process.platform === "linux"
    ? [{ name: "sanitizers", args: ["scripts/sanitizers.mjs", "--only", "address"], count: countOfLastLine }]
    : []),
  {
    name: "vitest",
    args: [
      bin("vitest", "vitest.mjs"),
      "run",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
      ...process.argv.slice(2),
    ],
    count: countOfVitest,
  },
];

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
for (const { name, args, count } of steps) {
  console.log(`\n== ${name}`);
  const started = Date.now();
  const { code, output } = await runStep(args);
  const counted = count?.(output) ?? { passed: Number(code === 0), failed: 0, skipped: 0 };
  // A step that fails without a failed test (it did not start, or ended early) must not look like success.
  if (code !== 0 && counted.failed === 0) counted.failed = 1;
  if (counted.failed > 0) failures.push(...(counted.failures ?? [name]));
  for (const key of Object.keys(total)) total[key] += counted[key];
  console.log(
    `== ${name}: ${code === 0 ? "ok" : "FAILED"} in ${((Date.now() - started) / 1000).toFixed(0)} s`,
  );
}
rmSync(work, { recursive: true, force: true });
// Again at the end, where they are found: the log is long.
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;

function bin(name, path) {
  return join(dirname(require.resolve(`${name}/package.json`)), path);
}

/** Passes the output on as it comes, and keeps it. */
function runStep(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

function countOfLastLine(output) {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  return last && { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) };
}

function countOfVitest() {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      readFileSync(report, "utf8"),
    );
    const failures = testResults
      .filter(({ status }) => status === "failed")
      .flatMap(({ name, message, assertionResults }) => {
        const failed = assertionResults.filter(({ status }) => status === "failed");
        if (failed.length === 0) return [`${relative(root, name)}: ${message}`];
        return failed.map(
          (test) => `${relative(root, name)}: ${test.fullName}\n${test.failureMessages.join("\n")}`,
        );
      });
    return {
      passed: numPassedTests,
      failed: numFailedTests,
      skipped: numPendingTests + numTodoTests,
      failures: failures.length > 0 ? failures : undefined,
    };
  } catch {
    return undefined;
  }
}
