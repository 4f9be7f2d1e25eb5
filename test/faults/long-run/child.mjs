// One process that generates, run by process.mjs: a JSON line of what it holds after each cycle of generations, and one at the
// beginning and at the end. Argument: { cycles | tokens, maxTokens, threads, plant }.
import { writeSync } from "node:fs";
import { generate, load, PromptCache } from "mlx-gemma";
import { addon } from "../../../dist/mlx/addon.js";
import { held } from "../held.mjs";

/** What users do, in turn, each with its share of `maxTokens`; all of it in each cycle, so that cycles can be compared. */
const CYCLE = [
  { draftTokens: 6 },
  { draftTokens: 6, temperature: 0.8, topK: 40, seed: 1 },
  { draftTokens: 6, cached: true },
  { draftTokens: 0, share: 0.1 },
  { draftTokens: 3, share: 0.5 },
  { draftTokens: 1, temperature: 1, topP: 0.9, seed: 2, share: 0.1 },
  { draftTokens: 6, leave: true, share: 0.5 },
  { draftTokens: 6, abort: true, share: 0.5 },
  { draftTokens: 6, trace: true, share: 0.5 },
  { draftTokens: 9 },
];
const PROMPTS = [
  "Tell me a story about a fox.",
  "Write a letter to my teacher.",
  "What is the capital of France?",
  "Tell me a story about a dragon and a girl named Lily.",
  "Write a JSON object for a person named Anna.",
];

const {
  cycles = Number.POSITIVE_INFINITY,
  tokens: wanted,
  maxTokens,
  threads,
  plant,
} = JSON.parse(process.argv[2]);
const leaked = [];
/** What each prompt's greedy answer was at first: it is the same a million tokens later, with any K. */
const answers = new Map();
const sums = { tokens: 0, steps: 0, proposed: 0, accepted: 0, differing: 0 };

tell({ at: "start", ...(await held()) });
const pair = await load({ draft: "assistant", threads });
for (let cycle = 0; cycle < cycles && sums.tokens < (wanted ?? Number.POSITIVE_INFINITY); cycle++) {
  const prompt = PROMPTS[cycle % PROMPTS.length];
  const promptIds = await pair.encodePrompt(prompt);
  const before = { ...sums };
  const start = performance.now();
  const processor = process.cpuUsage();
  for (const kind of CYCLE) await one(kind, prompt, promptIds);
  const { user, system } = process.cpuUsage(processor);
  tell({
    at: "cycle",
    cycle,
    total: sums.tokens,
    ms: performance.now() - start,
    processorMs: (user + system) / 1000,
    ...difference(before),
    rssAsItIs: process.memoryUsage.rss(),
    cacheAsItIs: addon().memory().cache,
    ...(await held()),
  });
}
pair[Symbol.dispose]();
tell({ at: "end", ...sums, ...(await held()) });

async function one({ share = 1, cached, leave, abort, ...options }, prompt, promptIds) {
  const most = Math.ceil(maxTokens * share);
  const ending = new AbortController();
  const cache = cached ? new PromptCache(pair) : undefined;
  const ids = [];
  const more = { signal: ending.signal, ...(cache ? { cache } : {}) };
  try {
    for (const maxTokens of cached ? [most / 2, most] : [most]) {
      ids.length = 0;
      const all = { promptIds, maxTokens: Math.ceil(maxTokens), ignoreEos: true, ...options, ...more };
      for await (const event of generate(pair, all)) {
        if (event.type === "tokens") {
          ids.push(...event.ids);
          if (!leave && !abort) continue;
          if (ids.length < most / 2) continue;
          if (leave) {
            sums.tokens += ids.length;
            break;
          }
          ending.abort();
        } else if (event.type === "end") {
          sums.tokens += event.stats.tokens;
          sums.steps += event.stats.targetSteps;
          sums.proposed += event.stats.proposed;
          sums.accepted += event.stats.accepted;
        }
      }
    }
  } finally {
    cache?.[Symbol.dispose]();
  }
  if (!options.temperature) compare(prompt, ids);
  if (plant === "heap") leaked.push(new Array(16 * 1024).fill(prompt));
  if (plant === "handle") leaked.push(addon().fromInt32(Int32Array.of(1), [1]));
  if (plant === "buffer") leaked.push(new Uint8Array(512 * 1024).fill(1));
}

function difference(before) {
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum - before[name]]));
}

function compare(prompt, ids) {
  const first = answers.get(prompt) ?? [];
  if (ids.some((id, place) => place < first.length && first[place] !== id)) sums.differing++;
  if (ids.length > first.length) answers.set(prompt, [...ids]);
}

/** At once: a stream that still writes would count among the resources. */
function tell(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
