import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { corpusOf, inputOf } from "./targets.mjs";

const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url));
/** Without a sign of life for so long, an input hangs: the longest step of 64 takes a few seconds on a busy machine. */
const SILENCE_MS = 60_000;
const STEP = 64;

/**
 * Fuzzes a target in a process of its own.
 *
 * @param options.seed the inputs are these again for the same seed and corpus
 * @returns how many inputs were tried, taken and refused, and the first finding with its input, if there is one
 */
export async function fuzz(target, { seed, count }) {
  const start = performance.now();
  let run = await watch(target, seed, 0, count, STEP);
  // The end of the process: once more from where it was, one at a time.
  if (run.ended) run = await watch(target, seed, run.at, Math.min(count, run.at + STEP), 1).then(merged(run));
  const seconds = (performance.now() - start) / 1000;
  const { finding, ended, at, ...rest } = run;
  const index = finding?.index ?? (ended ? at : undefined);
  const tried = index === undefined ? count : index + 1;
  if (index === undefined) return { target, seed, tried, seconds, ...rest };
  const input = inputOf(target, corpusOf(target), seed, index);
  return { target, seed, tried, seconds, ...rest, finding: { index, what: finding?.what ?? ended, input } };
}

const merged = (first) => (again) => ({ ...first, ...again, ended: again.ended ?? first.ended });

/** @returns the child's last words; `ended` where it had none: then input `at` or one of the `step` after it is why */
function watch(target, seed, from, to, step) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [CHILD, target, seed, from, to, step], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let last = { at: from };
    let rest = "";
    let errors = "";
    let hung = false;
    const onSilence = () => {
      hung = true;
      child.kill("SIGKILL");
    };
    let timer = setTimeout(onSilence, SILENCE_MS);
    child.stderr.setEncoding("utf8").on("data", (text) => {
      errors = (errors + text).slice(0, 4000);
    });
    child.stdout.setEncoding("utf8").on("data", (text) => {
      clearTimeout(timer);
      timer = setTimeout(onSilence, SILENCE_MS);
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) last = { ...last, ...JSON.parse(line) };
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const why = errors.split("\n").find((line) => /panicked|Error|fatal/.test(line)) ?? "";
      const ended = hung
        ? "hangs"
        : code === 0
          ? undefined
          : `ends the process (${signal ?? code}) ${why}`.trim();
      resolve({ ...last, ...(ended ? { ended } : {}) });
    });
  });
}
