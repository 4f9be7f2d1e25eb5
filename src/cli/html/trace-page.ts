import type { Trace } from "../../trace/schema.js";
import { charts, partsChart, shareChart, totalOf } from "./charts.js";
import { legend, partsLegend } from "./legend.js";
import { html, type Markup } from "./markup.js";
import { withNames } from "./names.js";
import { page, section } from "./page.js";
import { PLACE_COLOURS } from "./style.js";
import { timeline } from "./timeline.js";
import { tokenList } from "./token-list.js";

const KEYS = "Point at one, tap it, or go through them with Tab and the arrow keys.";

/** A generation as a page: who wrote which token, round by round. */
export function tracePage(saved: Trace): string {
  const trace = { ...saved, settings: withNames(saved.settings) };
  const { prompt, rounds, stats } = trace;
  const asked = prompt.text === null ? `${prompt.tokenIds.length} token ids` : prompt.text;
  const body = html`<h1>Who wrote which token</h1>
${factsOf(trace).map((line) => html`<p class="facts">${line}</p>\n`)}
<div class="prompt" tabindex="0" role="region" aria-label="the prompt">${asked}</div>
${section("Answer", "Every token by who wrote it. Target and drafter: how likely each held it.", [
  writersLegend(stats.acceptanceByPosition.length),
  tokenList(rounds),
  detail("token-detail", `Tokens: ${KEYS}`),
])}
${section(
  "Rounds in time",
  "A block a round, as wide as it took; the row of squares are its drafts, accepted or not, and the target's own token. Below: when it began, in ms.",
  [
    partsLegend(),
    legend([["lost", "a draft that was not accepted"]]),
    timeline(rounds),
    detail("round-detail", `Rounds: ${KEYS}`),
  ],
)}
${sums(trace)}`;
  return page("mlx-gemma generate: a trace", body);
}

function detail(id: string, hint: string): Markup {
  return html`<p class="detail" id="${id}" role="status">${hint}</p>`;
}

function factsOf({ about, settings, stats, answer }: Trace): string[] {
  const { versions } = about;
  const sampling =
    settings.temperature === 0 ? "greedy" : `temperature ${settings.temperature}, seed ${settings.seed}`;
  return [
    `${settings.model}, drafted by ${settings.assistant ?? "nobody"}, K = ${settings.draftTokens}; ${sampling}; exact: ${stats.exact}`,
    `${stats.tokens} tokens in ${stats.targetSteps} rounds, ${stats.tokensPerStep.toFixed(2)} tokens a round, ${stats.accepted} of ${stats.proposed} drafts accepted; ended by: ${answer.stopReason}`,
    `${stats.tokensPerSecond.toFixed(1)} tok/s, first token after ${stats.timeToFirstTokenMs.toFixed(1)} ms`,
    `${about.cpu}, ${about.device}, ${about.kernels} kernels; mlx-gemma ${versions.mlxGemma}, MLX ${versions.mlx}; ${about.date}`,
  ];
}

function writersLegend(draftTokens: number): Markup {
  const shown = Math.min(draftTokens, PLACE_COLOURS);
  const places = Array.from({ length: shown }, (_, index) => {
    const more = index + 1 === PLACE_COLOURS && draftTokens > PLACE_COLOURS ? " and further" : "";
    return [`place-${index + 1}`, `drafted, place ${index + 1}${more}`] as const;
  });
  return legend([["own", "the target's own"], ...places]);
}

/** Sums over the rounds; nothing where there was none. */
function sums({ stats, settings }: Trace): readonly Markup[] {
  if (stats.targetSteps === 0) return [];
  const perRound = {
    draft: stats.times.draft / stats.targetSteps,
    verify: stats.times.verify / stats.targetSteps,
    accept: stats.times.accept / stats.targetSteps,
    rest: stats.times.rest / stats.targetSteps,
  };
  const bar = {
    name: `K = ${settings.draftTokens}`,
    parts: perRound,
    note: `${totalOf(perRound).toFixed(2)} ms a round`,
  };
  const time = partsChart("Where a round's time goes", [bar]);
  const places =
    stats.proposed > 0 ? [shareChart("Drafts accepted by place, %", stats.acceptanceByPosition)] : [];
  return [
    section("All rounds together", "Means over the rounds after the first token.", charts([...places, time])),
  ];
}
