/** Fills of drafted tokens by place: the last also stands for all places behind it. */
const PLACES_LIGHT = ["#d6f1e0", "#bfe6d5", "#a9d9d6", "#a3c9e6", "#b6bdf0", "#cdb5ee"];
const PLACES_DARK = ["#16432c", "#124842", "#124657", "#1b3f6b", "#32386f", "#4a2f70"];

/** Places that have a colour of their own. */
export const PLACE_COLOURS = PLACES_LIGHT.length;

const places = (colours: readonly string[]) =>
  colours.map((colour, index) => `--place-${index + 1}: ${colour};`).join(" ");
const placeRules = PLACES_LIGHT.map(
  (_, index) =>
    `.place-${index + 1} { background: var(--place-${index + 1}); fill: var(--place-${index + 1}); }`,
).join("\n");

/** Of all pages. Widths are of a phone first; charts stand beside one another where there is room. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f5f6f8; --ink: #1c2024; --soft: #57606a; --line: #c9d0d8;
  --draft: #b35900; --verify: #0860ca; --accept: #1a7f37; --rest: #6e7781; --focus: #0860ca; --bad: #b3261e;
  ${places(PLACES_LIGHT)}
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1216; --raised: #191e24; --ink: #e7eaee; --soft: #a3adb8; --line: #3a434d;
    --draft: #f0a04b; --verify: #6cb2ff; --accept: #5fd47a; --rest: #9aa4ae; --focus: #8ec5ff; --bad: #ff8f87;
    ${places(PLACES_DARK)}
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.25rem; }
h3 { font-size: 0.95rem; margin: 0 0 0.25rem; overflow-wrap: anywhere; }
p { margin: 0.25rem 0; overflow-wrap: anywhere; }
.note, .facts { color: var(--soft); font-size: 0.9rem; }
.verdict { font-size: 1.1rem; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem; margin-top: 0.75rem; }
.charts > div { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem; break-inside: avoid; }
svg { display: block; max-width: 100%; }
.charts svg { width: 100%; height: auto; max-width: 24rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
svg text.soft { fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: 1; }
.reference { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
.interval { stroke: var(--verify); stroke-width: 2; }
.point { fill: var(--verify); stroke: var(--verify); stroke-width: 2; }
.point.unsure { fill: var(--raised); }
.point.slower { fill: var(--bad); stroke: var(--bad); }
.bar { fill: var(--accept); }
.draft { fill: var(--draft); background: var(--draft); }
.verify { fill: var(--verify); background: var(--verify); }
.accept { fill: var(--accept); background: var(--accept); }
.rest { fill: var(--rest); background: var(--rest); }
${placeRules}
.own { border-bottom: 2px solid var(--verify); fill: var(--verify); }
.lost { fill: none; stroke: var(--bad); stroke-width: 1; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; list-style: none; margin: 0.5rem 0; padding: 0; font-size: 0.9rem; }
.legend .swatch { display: inline-block; width: 1.1em; height: 1.1em; margin-right: 0.35em; vertical-align: -0.2em; border-radius: 3px; }
.legend .swatch.own { background: none; border-radius: 0; }
svg rect[class^=place] { stroke: var(--soft); stroke-width: 1; }
.legend .swatch[class*=place] { border: 1px solid var(--soft); }
.legend .swatch.lost { border: 1px solid var(--bad); }
.tokens { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 2; font-size: 1.05rem; margin: 0.5rem 0; }
[role=option] { unicode-bidi: isolate; cursor: default; }
.tokens [role=option] { border-radius: 3px; padding: 0.1em 0; }
.tokens .own { border-radius: 0; }
.tokens .special { font-size: 0.8em; }
[role=option][aria-selected=true], [role=option]:hover { outline: 2px solid var(--focus); outline-offset: 1px; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
.timeline { display: flex; flex-wrap: wrap; gap: 0.5rem 1px; margin: 0.5rem 0; }
.detail { position: sticky; bottom: 0; min-height: 4.6rem; padding: 0.5rem 0.75rem; border: 1px solid var(--line);
  border-radius: 8px; background: var(--raised); font-size: 0.95rem; overflow-wrap: anywhere; unicode-bidi: plaintext; }
.prompt { white-space: pre-wrap; border-left: 3px solid var(--line); padding-left: 0.75rem; max-height: 16rem; overflow-y: auto; }
.scroll { overflow-x: auto; margin: 0.5rem 0 1rem; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; white-space: normal; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left; }
th.number, td.number { text-align: right; }
summary { cursor: pointer; font-weight: 600; margin-top: 1.5rem; }
@media print {
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .detail { display: none; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; }
  details::details-content { content-visibility: visible; }
  .prompt { max-height: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
