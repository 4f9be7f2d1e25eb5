// A grouped bar chart as SVG: enough for a benchmark's plot, nothing more.

const COLOURS = ["#1a73e8", "#e8710a", "#188038", "#9334e6", "#d93025"];
const ROW = 20;
const GAP = 26;
const LABEL = 190;
const BAR = 560;
const MARGIN = 20;

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);

/**
 * @param title one line
 * @param groups `[{ label, bars: [{ label, value, text }] }]`; each group has its own scale, from 0 to its largest value
 */
export function barChart(title, groups) {
  const names = [...new Set(groups.flatMap(({ bars }) => bars.map(({ label }) => label)))];
  const parts = [];
  let y = MARGIN + 30;
  for (const { label, bars } of groups) {
    const largest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
    parts.push(`<text x="${MARGIN}" y="${y + 14}" font-weight="bold">${escaped(label)}</text>`);
    y += 22;
    for (const bar of bars) {
      const width = (BAR * bar.value) / largest;
      const fill = COLOURS[names.indexOf(bar.label) % COLOURS.length];
      parts.push(
        `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escaped(bar.label)}</text>`,
        `<rect x="${LABEL}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 4}" fill="${fill}"/>`,
        `<text x="${(LABEL + width + 6).toFixed(1)}" y="${y + 14}">${escaped(bar.text)}</text>`,
      );
      y += ROW;
    }
    y += GAP;
  }
  const size = { width: LABEL + BAR + 160, height: y };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" font-family="sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="${MARGIN}" y="${MARGIN + 8}" font-size="15">${escaped(title)}</text>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}
