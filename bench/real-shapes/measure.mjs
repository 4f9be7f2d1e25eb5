// Run by run.mjs, each time in a process of its own, so that its peak memory is one model's. Writes one JSON object.
//   parts FOLDER THREADS              loads FOLDER/target and FOLDER/assistant part by part, with a clock between
//   generate FOLDER THREADS TOKENS K  loads as the library does; generates plain, drafted, and with replayed drafts
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { openAssistant, openTarget } from "../../dist/checkpoint/index.js";
import { Gemma4Assistant } from "../../dist/drafter/gemma4-assistant.js";
import { generate } from "../../dist/index.js";
import { load } from "../../dist/load.js";
import { addon } from "../../dist/mlx/addon.js";
import { fromInt32 } from "../../dist/mlx/array.js";
import { Gemma4Target } from "../../dist/target/gemma4-target.js";
import { openTokenizer } from "../../dist/text/tokenizer.js";
import { uniform } from "./fill.mjs";

const [what, folder = "", threads = "0", tokens = "32", draftTokens = "3"] = process.argv.slice(2);
const PROMPT = 24;
/** Of the replayed drafts one in so many is wrong, so that rounds end at every place. */
const WRONG = 5;

/** VmRSS and VmHWM of this process, bytes; only the first two where there is no /proc. */
function memory() {
  const status = (() => {
    try {
      return readFileSync("/proc/self/status", "utf8");
    } catch {
      return "";
    }
  })();
  const field = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? Number.NaN) * 1024;
  return {
    rss: process.memoryUsage.rss(),
    peak: status ? field("VmHWM") : process.resourceUsage().maxRSS * 1024,
  };
}

const phases = [];
let started = performance.now();
let cpu = process.cpuUsage();
function phase(name) {
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  // On a busy machine the processor's time tells more than the clock.
  phases.push({ name, ms, cpuMs: (user + system) / 1000, ...memory() });
  started = performance.now();
  cpu = process.cpuUsage();
}

const model = join(folder, "target");
const draft = join(folder, "assistant");
addon().setThreads(Number(threads));
phase("addon");
const report = what === "parts" ? await loadInParts() : await loadAndGenerate();
process.stdout.write(
  JSON.stringify({ ...report, phases, peak: memory().peak, mlxPeak: addon().memory().peak }),
);

/** What `load` does, one after the other. */
async function loadInParts() {
  const checkpoint = openTarget(model);
  const assistant = openAssistant(draft);
  phase("headers");
  await openTokenizer(model);
  phase("tokenizer");
  const target = await Gemma4Target.load(checkpoint);
  phase("target");
  const drafter = await Gemma4Assistant.load(assistant);
  phase("assistant");
  for (const part of [target, drafter]) part[Symbol.dispose]();
  return { bytes: checkpoint.weights.bytes + assistant.weights.bytes };
}

async function loadAndGenerate() {
  const pair = await load({ model, draft, threads: Number(threads) });
  phase("load");
  const question = "Which of the rivers of the north is the longest?";
  const encoded = pair.tokenizer ? await pair.encodePrompt(question) : [];
  phase("encodePrompt");
  const promptIds = prompt(pair.target.vocabSize);
  const plain = await run(pair, promptIds, 0);
  phase("plain");
  const drafted = await run(pair, promptIds, Number(draftTokens));
  phase("drafted");
  const replayed = await run({ ...pair, drafter: replay(plain.tokenIds) }, promptIds, Number(draftTokens));
  phase("replayed");
  pair[Symbol.dispose]();
  return { encodedTokens: encoded.length, plain, drafted, replayed };
}

async function run(loaded, promptIds, k) {
  for await (const event of generate(loaded, {
    promptIds,
    draftTokens: k,
    maxTokens: Number(tokens),
    ignoreEos: true,
  })) {
    if (event.type !== "end") continue;
    const { stats, tokenIds } = event;
    return {
      tokenIds,
      promptTokensPerSecond: stats.promptTokensPerSecond,
      tokensPerSecond: stats.tokensPerSecond,
      targetSteps: stats.targetSteps,
      proposed: stats.proposed,
      accepted: stats.accepted,
      exact: stats.exact,
    };
  }
  throw new Error("no end event");
}

function prompt(vocab) {
  const random = uniform(7);
  return [2, ...Array.from({ length: PROMPT - 1 }, () => 400 + random(vocab - 400))];
}

/** A drafter that knows the text, and errs now and then: random weights accept nothing, and no block's later rows count. */
function replay(known) {
  return {
    propose({ position, steps }) {
      if (steps === 0) return { distributions: [] };
      const first = position - PROMPT + 1; // the bonus token is known[position - PROMPT]
      const drafts = Int32Array.from({ length: steps }, (_, i) => {
        const right = known[first + i] ?? 0;
        return (first + i) % WRONG === 0 ? right + 1 : right;
      });
      return { tokens: fromInt32(drafts, [1, steps]), distributions: [] };
    },
    [Symbol.dispose]() {},
  };
}
