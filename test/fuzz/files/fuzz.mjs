import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { corpusOf, inputOf } from "./targets.mjs";

const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url));
/** Without a sign of life for so long, an input hangs: the longest step of 64 takes a few seconds on a busy machine. */
const SILENCE_MS = 60_000;
const STEP = 64;
const HANGS = "hangs";

/**
 * Fuzzes a target in a process of its own.
 *
 * @param options.seed the inputs are these again for the same seed and corpus
 * @param options.onChild is given each process, which the tests of this send to sleep
 * @returns how many inputs were tried, taken and refused, and the first finding with its input, if there is one
 */
export async function fuzz(target, { seed, count, silenceMs = SILENCE_MS, onChild }) {
  const start = performance.now();
  const watched = (from, to, step) => watch([target, seed, from, to, step], { silenceMs, onChild });
  const sum = { taken: 0, refused: {}, slowestMs: 0, maxRssMb: 0 };
  const told = (tried) => ({ target, seed, tried, seconds: (performance.now() - start) / 1000, ...sum });
  for (let from = 0; from < count; ) {
    const run = await watched(from, count, STEP);
    add(sum, run);
    from = run.at + STEP;
    if (!run.ended && !run.finding) break;
    // The end of the process: once more from where it was, one at a time.
    const again = run.ended && (await watched(run.at, Math.min(count, from), 1));
    if (again) add(sum, again);
    const finding = run.finding ?? again?.finding;
    const ended = again?.ended ?? run.ended;
    // A silence that does not come again was the machine's, which slept.
    if (!finding && !again.ended && ended === HANGS) continue;
    const index = finding?.index ?? again.at;
    const input = inputOf(target, corpusOf(target), seed, index);
    return { ...told(index + 1), finding: { index, what: finding?.what ?? ended, input } };
  }
  return told(count);
}

function add(sum, { taken = 0, refused = {}, slowestMs = 0, maxRssMb = 0 }) {
  sum.taken += taken;
  for (const [code, times] of Object.entries(refused)) sum.refused[code] = (sum.refused[code] ?? 0) + times;
  sum.slowestMs = Math.max(sum.slowestMs, slowestMs);
  sum.maxRssMb = Math.max(sum.maxRssMb, maxRssMb);
}

/** @returns the child's last words; `ended` where it had none: then input `at` or one of the `step` after it is why */
function watch(words, { silenceMs, onChild }) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [CHILD, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    onChild?.(child);
    let last = { at: words[2] };
    let rest = "";
    let errors = "";
    let hung = false;
    const onSilence = () => {
      hung = true;
      child.kill("SIGKILL");
    };
    let timer = setTimeout(onSilence, silenceMs);
    child.stderr.setEncoding("utf8").on("data", (text) => {
      errors = (errors + text).slice(0, 4000);
    });
    child.stdout.setEncoding("utf8").on("data", (text) => {
      clearTimeout(timer);
      timer = setTimeout(onSilence, silenceMs);
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) last = { ...last, ...JSON.parse(line) };
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const why = errors.split("\n").find((line) => /panicked|Error|fatal/.test(line)) ?? "";
      const ended = hung
        ? HANGS
        : code === 0
          ? undefined
          : `ends the process (${signal ?? code}) ${why}`.trim();
      resolve({ ...last, ...(ended ? { ended } : {}) });
    });
  });
}
