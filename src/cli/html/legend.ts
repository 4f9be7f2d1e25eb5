import { PARTS } from "./charts.js";
import { html, type Markup } from "./markup.js";

/** What colours mean: a class of the style sheet, and its words. */
export function legend(entries: readonly (readonly [style: string, words: string])[]): Markup {
  return html`<ul class="legend">${entries.map(
    ([style, words]) => html`<li><span class="swatch ${style}"></span>${words}</li>`,
  )}</ul>`;
}

const WORDS = {
  draft: "draft: the drafter proposes",
  verify: "verify: the target's step",
  accept: "accept: deciding",
  rest: "rest",
} as const;

export function partsLegend(): Markup {
  return legend(PARTS.map((part) => [part, WORDS[part]] as const));
}
