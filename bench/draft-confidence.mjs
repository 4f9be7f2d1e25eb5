#!/usr/bin/env node
// How well the drafter's own confidence foretells acceptance, and what stopping a round's drafts by it could save at best: a
// bound, with the threshold chosen afterwards. The drafts at every position of greedy answers are collected; costs are given.
//
//   node bench/draft-confidence.mjs [--suite chat,prose,code,json] [--max-tokens 100] [--save]
import { parseArgs } from "node:util";
import { openSuite } from "../dist/bench/prompts.js";
import { generate, load } from "../dist/index.js";
import { saveRows } from "./lib/save-rows.mjs";
import { table } from "./lib/table.mjs";
import { machine } from "./machine.mjs";

const MOST = 15;
/** In plain steps: a round of K drafts, one draft of them. The embedded pair's on a CPU, and those of a cheaper block. */
const COSTS = [
  { name: "1.08 + 0.48 K", round: (k) => (k > 0 ? 1.08 + 0.48 * k : 1), draft: 0.26 },
  { name: "1.08 + 0.15 K", round: (k) => (k > 0 ? 1.08 + 0.15 * k : 1), draft: 0.06 },
];
/** In plain steps: reading back a draft and its probability before the next one is made. */
const READBACKS = [0, 0.03, 0.06];
const THRESHOLDS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

const { values: flags } = parseArgs({
  options: {
    suite: { type: "string", default: "chat,prose,code,json" },
    "max-tokens": { type: "string", default: "100" },
    save: { type: "boolean", default: false },
  },
});

/** For each position of an answer: how many drafts are right there, and how likely the drafter held each. */
async function collect(pair, promptIds, maxTokens) {
  const answer = await ids(pair, { promptIds, draftTokens: 0, maxTokens });
  const places = [];
  for (let decided = 1; decided < answer.length; decided++) {
    const rest = answer.slice(decided);
    const events = generate(pair, {
      promptIds: [...promptIds, ...answer.slice(0, decided - 1)],
      draftTokens: MOST,
      maxTokens: MOST + 2,
      ignoreEos: true,
      trace: true,
    });
    for await (const { type, round } of events) {
      if (type !== "tokens" || !round || round.drafts.length === 0) continue;
      let right = 0;
      while (right < Math.min(rest.length, round.drafts.length) && round.drafts[right] === rest[right])
        right++;
      const told = round.probabilities.drafts.map(({ drafter }) => drafter);
      places.push({ right, told, judged: Math.min(right + 1, rest.length, MOST) });
      break;
    }
  }
  return places;
}

async function ids(pair, options) {
  for await (const event of generate(pair, options)) if (event.type === "end") return event.tokenIds;
  throw new Error("the generation ended without its end event");
}

/** Plain steps of an answer, where `propose` says how many drafts are made and how many of them verified. */
function timeOf(places, propose) {
  let time = 0;
  for (let at = 0; at < places.length; ) {
    const { verified, cost } = propose(places[at], places.length - at - 1);
    time += cost;
    at += Math.min(places[at].right, verified) + 1;
  }
  return time;
}

const fixed =
  (k, { round }) =>
  (_, room) => ({ verified: Math.min(k, room), cost: round(Math.min(k, room)) });

/** Drafts until all of them together are less likely than `threshold`; the draft that says so was made for nothing. */
const byConfidence =
  (threshold, most, readback, { round, draft }) =>
  ({ told }, room) => {
    const end = Math.min(most, room);
    let verified = 0;
    for (let chance = 1; verified < end; verified++) {
      chance *= told[verified];
      if (chance < threshold) break;
    }
    const made = Math.min(verified + 1, end);
    return { verified, cost: round(verified) + draft * (made - verified) + readback * made };
  };

/** The chance that a right draft was held likelier than a wrong one. */
function areaUnderCurve(answers) {
  const judged = answers
    .flat()
    .flatMap(({ right, told, judged: n }) => told.slice(0, n).map((q, i) => [q, i < right]));
  judged.sort(([a], [b]) => a - b);
  const rights = judged.filter(([, right]) => right).length;
  const ranks = judged.reduce((sum, [, right], rank) => sum + (right ? rank : 0), 0);
  return (ranks - (rights * (rights - 1)) / 2) / (rights * (judged.length - rights));
}

const up = Array.from({ length: MOST }, (_, i) => i + 1);
const rows = [];
const pair = await load({ draft: "assistant" });
for (const suite of flags.suite.split(",")) {
  const answers = [];
  for (const prompt of openSuite(suite).prompts) {
    const promptIds =
      prompt.kind === "chat"
        ? await pair.encodeChat(prompt.messages)
        : await pair.encodePrompt(prompt.text, { raw: true });
    answers.push(await collect(pair, promptIds, Number(flags["max-tokens"])));
  }
  const total = (propose) => answers.reduce((sum, places) => sum + timeOf(places, propose), 0);
  const area = areaUnderCurve(answers);
  for (const costs of COSTS) {
    const [best, k] = [0, ...up].map((n) => [total(fixed(n, costs)), n]).sort(([a], [b]) => a - b)[0];
    const gains = READBACKS.map((readback) => {
      const times = THRESHOLDS.flatMap((t) =>
        up.map((most) => total(byConfidence(t, most, readback, costs))),
      );
      return best / Math.min(...times);
    });
    rows.push({
      suite,
      costs: costs.name,
      area,
      bestFixed: k,
      gains: Object.fromEntries(READBACKS.map((r, i) => [r, gains[i]])),
    });
  }
}
pair[Symbol.dispose]();
console.log(
  table(
    ["speed ÷ best fixed K's", "a round", "K", "AUC", ...READBACKS.map((cost) => `readback ${cost}`)],
    rows.map(({ suite, costs, bestFixed, area, gains }) => [
      suite,
      costs,
      String(bestFixed),
      area.toFixed(2),
      ...Object.values(gains).map((gain) => gain.toFixed(3)),
    ]),
  ),
);
if (flags.save) process.stderr.write(`rows: ${saveRows("draft-confidence", machine(), rows)}.jsonl\n`);
