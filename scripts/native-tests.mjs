#!/usr/bin/env node
// Builds the C++ tests in build/tests and runs each of them.
import { buildCppTest, root } from "./cpp-tests.mjs";
import { run } from "./setup/run.mjs";
import { Lack, sayLack } from "./setup/tell.mjs";

const TESTS = ["kernels_test"];

async function main() {
  for (const test of TESTS) {
    const { code } = await run(await buildCppTest(test, "tests"), process.argv.slice(2), {
      cwd: root,
      onLine: (line) => console.log(line),
    });
    if (code !== 0) process.exitCode = 1;
  }
}

main().catch((error) => {
  if (!(error instanceof Lack)) throw error;
  sayLack(error);
  process.exitCode = 1;
});
