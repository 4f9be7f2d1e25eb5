import { median } from "../../quantiles.js";
import type { TraceRound } from "../../trace/schema.js";
import { PARTS, segments, totalOf } from "./charts.js";
import { html, type Markup } from "./markup.js";
import { acceptedIn, placeClass } from "./token-list.js";

/** Pixels of a round that takes as long as the middle one; no round is narrower or wider than these. */
const USUAL = 46;
const NARROWEST = 24;
const WIDEST = 300;
const HEIGHT = 46;
const SQUARE = 7;

/** Rounds one after the other, in as many lines as they need, all on one scale. */
export function timeline(rounds: readonly TraceRound[]): Markup {
  if (rounds.length === 0) return html`<p>No round was finished.</p>`;
  const usual = median(rounds.slice(1).map(({ times }) => totalOf(times)));
  const perMs =
    USUAL / (usual > 0 ? usual : totalOf(rounds[0]?.times ?? { draft: 0, verify: 1, accept: 0, rest: 0 }));
  return html`<div class="timeline" role="listbox" aria-label="rounds" data-detail="round-detail">${rounds.map(
    (round, number) =>
      html`<div role="option" tabindex="${number === 0 ? 0 : -1}" aria-selected="false" aria-label="${labelOf(round, number)}">${block(round, perMs)}</div>`,
  )}</div>`;
}

function block({ times, drafts, own, startMs }: TraceRound, perMs: number): Markup {
  const total = totalOf(times);
  const width = Math.round(Math.min(WIDEST, Math.max(NARROWEST, total * perMs)));
  const x = (ms: number) => Math.round((100 * ms * (width - 1)) / Math.max(total, 1e-9)) / 100;
  const styles = [
    ...drafts.map(({ place, outcome }) => (outcome === "accepted" ? placeClass(place) : "lost")),
    ...(own ? ["own"] : []),
  ];
  const side = Math.min(SQUARE, (width - 1) / Math.max(1, styles.length) - 1);
  const squares = styles.map(
    (style, index) =>
      html`<rect class="${style}" x="${(index * (side + 1) + 0.5).toFixed(2)}" y="20" width="${side.toFixed(2)}" height="${SQUARE}"/>`,
  );
  return html`<svg width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" aria-hidden="true">${segments(times, x, 2, 14)}${squares}<text class="soft" x="0" y="42">${startMs.toFixed(0)}</text></svg>`;
}

function labelOf(round: TraceRound, number: number): string {
  const { times, startMs, drafts, own } = round;
  if (number === 0) return `Reading the prompt: ${times.verify.toFixed(1)} ms, 1 token.`;
  const kept = acceptedIn(round).length;
  const parts = PARTS.map((part) => `${part} ${times[part].toFixed(2)}`).join(", ");
  const tokens = kept + (own ? 1 : 0);
  return `Round ${number}, at ${startMs.toFixed(0)} ms: ${kept} of ${drafts.length} drafts accepted, ${tokens} ${tokens === 1 ? "token" : "tokens"} in ${totalOf(times).toFixed(2)} ms (${parts}).`;
}
