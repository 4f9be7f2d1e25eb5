// mlx-gemma as one more peer: the same requests (peer.mjs) answered through the library, and `margin` beside them.
import { createInterface } from "node:readline";
import { generate, load } from "../../dist/index.js";
import { addon } from "../../dist/mlx/addon.js";
import { evaluate, fromInt32, readFloat32, readInt32, scope } from "../../dist/mlx/array.js";
import * as ops from "../../dist/mlx/ops.js";
import { firstToken, runRound } from "../../dist/speculative/round.js";
import { greedyVerifier } from "../../dist/speculative/verifier.js";

let pair;

const handlers = {
  async load({ target, assistant, dtype, threads }) {
    pair?.[Symbol.dispose]();
    const start = performance.now();
    pair = await load({
      model: target,
      draft: assistant ?? "none",
      threads,
      ...(dtype === "bf16" || dtype === "f32" ? { dtype } : {}),
    });
    const first = await handlers.prefill({ prompt: [2] });
    return { ms: performance.now() - start, firstTokenMs: first.ms, kernels: addon().kernels() };
  },

  async plain({ prompt, tokens }) {
    const { tokenIds, stats } = await answer({ promptIds: prompt, maxTokens: tokens, draftTokens: 0 });
    return { ids: tokenIds, prefillMs: stats.timeToFirstTokenMs, decodeMs: decodeMs(stats) };
  },

  async drafted({ prompt, tokens, draftTokens }) {
    const { tokenIds, stats } = await answer({ promptIds: prompt, maxTokens: tokens, draftTokens });
    const { targetSteps: rounds, proposed, accepted } = stats;
    return { ids: tokenIds, decodeMs: decodeMs(stats), rounds, proposed, accepted };
  },

  async prefill({ prompt }) {
    return withSession(1, async (session) => {
      const start = performance.now();
      const { hidden } = await after(session, prompt);
      hidden.dispose();
      return { ms: performance.now() - start };
    });
  },

  async step({ prompt, rows, repeat }) {
    return withSession(rows, async (session) => {
      let state = await after(session, prompt);
      const drafts = prompt.slice(-(rows - 1));
      // A round whose drafts are given: what is left is the target's step, the verdict and its reading.
      const drafter = {
        propose: ({ steps }) =>
          steps === 0
            ? { distributions: [] }
            : { tokens: fromInt32(Int32Array.from(drafts), [1, steps]), distributions: [] },
      };
      const parts = { target: pair.target, session, drafter, verifier: greedyVerifier };
      const ms = [];
      for (let i = 0; i < repeat; i++) {
        const start = performance.now();
        ({ state } = await runRound(parts, state, rows - 1));
        ms.push(performance.now() - start);
      }
      state.hidden.dispose();
      return { ms };
    });
  },

  async draft({ prompt, draftTokens, repeat }) {
    return withSession(draftTokens + 1, async (session) => {
      const { bonus, hidden } = await after(session, prompt);
      const ms = [];
      for (let i = 0; i < repeat; i++) {
        const start = performance.now();
        const tokens = scope(
          () =>
            pair.drafter.propose({
              bonus: fromInt32(Int32Array.of(bonus), [1, 1]),
              hidden,
              sharedKv: session.sharedKv(),
              position: session.position,
              steps: draftTokens,
              embed: (ids) => pair.target.embed(ids),
              pick: greedyVerifier.pick,
            }).tokens,
        );
        await evaluate([[tokens]]);
        readInt32(tokens);
        tokens.dispose();
        ms.push((performance.now() - start) / draftTokens);
      }
      hidden.dispose();
      return { ms };
    });
  },

  /** The two best tokens after `prompt` and how far apart their logits are: where another peer went another way. */
  async margin({ prompt }) {
    return withSession(1, async (session) => {
      const output = await session.prefill(Int32Array.from(prompt));
      const logits = scope(() => ops.astype(output.logits, "float32"));
      await evaluate([[logits]]);
      const values = readFloat32(logits);
      for (const array of [logits, output.logits, output.lastHidden]) array.dispose();
      let [first, second] = values[0] >= values[1] ? [0, 1] : [1, 0];
      for (let i = 2; i < values.length; i++) {
        if (values[i] > values[first]) [first, second] = [i, first];
        else if (values[i] > values[second]) second = i;
      }
      return { best: [first, second], margin: values[first] - values[second] };
    });
  },

  async encode({ prompts }) {
    return { prompts: await Promise.all(prompts.map((text) => pair.encodePrompt(text))) };
  },
};

/** A generation's state for as long as `use` takes. */
async function withSession(maxBlock, use) {
  const session = pair.target.openSession(maxBlock);
  try {
    return await use(session);
  } finally {
    session[Symbol.dispose]();
  }
}

async function after(session, prompt) {
  const output = await session.prefill(Int32Array.from(prompt));
  return firstToken(output, greedyVerifier, prompt.length);
}

async function answer(options) {
  for await (const event of generate(pair, { ...options, ignoreEos: true })) {
    if (event.type === "end") return event;
  }
  throw new Error("the generation had no end");
}

const decodeMs = ({ tokens, tokensPerSecond }) =>
  tokensPerSecond > 0 ? ((tokens - 1) * 1000) / tokensPerSecond : 0;

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let result;
  try {
    result = await handlers[request.op](request);
  } catch (error) {
    result = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
