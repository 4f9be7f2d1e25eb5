// Run by memory.test.ts with --expose-gc: generates many tokens and tells its memory as JSON.
// Arguments: generations, tokens of each.
import { generate, load } from "mlx-gemma";
import { addon } from "../../dist/mlx/addon.js";

const [generations = 0, maxTokens = 0] = process.argv.slice(2).map(Number);

/** After what can be collected is gone; finalizers run between turns. */
async function settled() {
  for (let turn = 0; turn < 4; turn++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  addon().clearCache();
  return {
    rss: process.memoryUsage.rss(),
    active: addon().memory().active,
    liveArrays: addon().counters().liveArrays,
  };
}

const start = await settled();
const samples = [];
let tokens = 0;
let accepted = 0;
const pair = await load({ draft: "assistant", threads: 1 });
const promptIds = await pair.encodePrompt("Tell me a story about a fox.");
for (let i = 0; i < generations; i++) {
  // Every fourth is sampled: other operations, other texts.
  const sampling = i % 4 === 3 ? { temperature: 0.8, seed: i } : {};
  for await (const event of generate(pair, {
    promptIds,
    draftTokens: 6,
    maxTokens,
    ignoreEos: true,
    ...sampling,
  })) {
    if (event.type !== "end") continue;
    tokens += event.stats.tokens;
    accepted += event.stats.accepted;
  }
  samples.push(await settled());
}
pair[Symbol.dispose]();
const end = await settled();
process.stdout.write(JSON.stringify({ start, samples, end, tokens, accepted }));
