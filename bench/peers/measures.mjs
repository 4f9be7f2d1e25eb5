// What is measured, one request to a peer each; a figure's row is `{ measure, value }` and what else belongs to it.
import { median } from "../../dist/quantiles.js";

/** Tokens of a prompt before single steps, and of the prompt that is timed. */
const CONTEXT = 128;
const PREFILL = 512;
export const DRAFT_TOKENS = 3;

/** Room for the longest of them in a peer that allocates its cache beforehand. */
export const CONTEXT_LENGTH = 2048;

/**
 * The measures in the order of a repetition. `ids`: what `prompts`, `long` (random ids of the longest prompt) and
 * `tokens` are. Each resolves to rows.
 */
export const MEASURES = [
  {
    name: "plain",
    async run(peer, { prompts, tokens }) {
      const runs = await each(prompts, (prompt) => peer.ask({ op: "plain", prompt, tokens }));
      const decodeMs = sum(runs, "decodeMs");
      return [
        {
          measure: "plainTokensPerSecond",
          value: ((tokens - 1) * runs.length * 1000) / decodeMs,
          ids: runs.map(({ ids }) => ids),
        },
      ];
    },
  },
  {
    name: "drafted",
    async run(peer, { prompts, tokens }) {
      const request = { op: "drafted", tokens, draftTokens: DRAFT_TOKENS };
      const runs = await each(prompts, (prompt) => peer.ask({ ...request, prompt }));
      const decodeMs = sum(runs, "decodeMs");
      const rounds = sum(runs, "rounds");
      return [
        {
          measure: "draftedTokensPerSecond",
          value: ((tokens - 1) * runs.length * 1000) / decodeMs,
          ids: runs.map(({ ids }) => ids),
          acceptanceRate: sum(runs, "accepted") / sum(runs, "proposed"),
        },
        { measure: "roundMs", value: decodeMs / rounds, proposedPerRound: sum(runs, "proposed") / rounds },
      ];
    },
  },
  {
    name: "prefill",
    async run(peer, { long }) {
      const { ms } = await peer.ask({ op: "prefill", prompt: long.slice(0, PREFILL) });
      return [{ measure: "prefillTokensPerSecond", value: (PREFILL * 1000) / ms }];
    },
  },
  {
    name: "steps",
    async run(peer, { long, repeat }) {
      const request = { op: "step", prompt: long.slice(0, CONTEXT), repeat };
      const one = await peer.ask({ ...request, rows: 1 });
      const block = await peer.ask({ ...request, rows: DRAFT_TOKENS + 1 });
      return [
        { measure: "stepMs", value: median(one.ms) },
        { measure: "verifyMs", value: median(block.ms) },
      ];
    },
  },
  {
    name: "draft",
    async run(peer, { long, repeat }) {
      const request = { op: "draft", prompt: long.slice(0, CONTEXT), draftTokens: DRAFT_TOKENS, repeat };
      return [{ measure: "draftMs", value: median((await peer.ask(request)).ms) }];
    },
  },
];

export const LONGEST_PROMPT = PREFILL;

async function each(prompts, ask) {
  const answers = [];
  for (const prompt of prompts) answers.push(await ask(prompt));
  return answers;
}

const sum = (rows, key) => rows.reduce((total, row) => total + row[key], 0);
