import type { TraceDraft, TraceRound, TraceToken } from "../../trace/schema.js";
import { html, type Markup } from "./markup.js";
import { PLACE_COLOURS } from "./style.js";

/** The class that colours a drafted token. @param place 1 … K */
export function placeClass(place: number): string {
  return `place-${Math.min(place, PLACE_COLOURS)}`;
}

/** The answer's tokens, coloured by who wrote them; each tells about itself. */
export function tokenList(rounds: readonly TraceRound[]): Markup {
  const tokens = rounds.flatMap((round, number) => [
    ...acceptedIn(round).map((draft) => ({
      token: draft,
      style: placeClass(draft.place),
      label: draftedLabel(draft, round, number),
    })),
    ...(round.own ? [{ token: round.own, style: "own", label: ownLabel(round.own, round, number) }] : []),
  ]);
  if (tokens.length === 0) return html`<p>No token was decided.</p>`;
  return html`<div class="tokens" role="listbox" aria-label="the answer's tokens" data-detail="token-detail">${tokens.map(
    ({ token, style, label }, index) =>
      html`<span role="option" class="${style}" tabindex="${index === 0 ? 0 : -1}" aria-selected="false" aria-label="${label}">${shown(token)}</span>`,
  )}</div>`;
}

export function acceptedIn({ drafts }: TraceRound): readonly TraceDraft[] {
  return drafts.filter(({ outcome }) => outcome === "accepted");
}

/** A token's text in quotes; its id where it has none. */
export function quoted({ text, id }: TraceToken): string {
  return text ? JSON.stringify(text) : `token ${id}`;
}

/** The place where a line ends can be pointed at. */
function shown({ text, id }: TraceToken): Markup | string {
  return text ? text.replaceAll("\n", "↵\n") : html`<span class="special">⟨${id}⟩</span>`;
}

function draftedLabel(draft: TraceDraft, { drafts }: TraceRound, number: number): string {
  return `${quoted(draft)}: drafted at place ${draft.place} of ${drafts.length} in round ${number}. ${likelihood(draft)}.`;
}

function ownLabel(own: TraceToken, { drafts }: TraceRound, number: number): string {
  const from =
    number === 0 ? "the target's own, from reading the prompt" : `the target's own in round ${number}`;
  const rejected = drafts.find(({ outcome }) => outcome === "rejected");
  const instead = rejected ? ` Instead of the draft ${quoted(rejected)}: ${likelihood(rejected)}.` : "";
  return `${quoted(own)}: ${from}. ${likelihood(own)}.${instead}`;
}

function likelihood({ probability, draftProbability }: TraceToken): string {
  const drafter = draftProbability === null ? "" : `, drafter ${percent(draftProbability)}`;
  return `Target ${percent(probability)}${drafter}`;
}

function percent(share: number): string {
  const tenths = (100 * share).toFixed(1);
  if (share > 0 && tenths === "0.0") return "below 0.1%";
  return share < 1 && tenths === "100.0" ? "above 99.9%" : `${tenths}%`;
}
