// Lines over one axis each, side by side, as SVG: enough for curves in the docs, nothing more.

const COLOURS = ["#1a73e8", "#e8710a", "#188038", "#9334e6", "#d93025", "#5f6368"];
const PANEL = { width: 430, height: 250, left: 56, top: 58, gap: 40 };

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);

/**
 * @param title one line
 * @param panels `[{ label, x: { name, ticks, log }, y: { from, to, ticks }, lines: [{ label, points: [[x, y]] }] }]`
 */
export function lineChart(title, panels) {
  const width = panels.length * (PANEL.width + PANEL.left + PANEL.gap);
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ label }) => label)))];
  const colour = (label) => COLOURS[names.indexOf(label) % COLOURS.length];
  const legendTop = PANEL.top + PANEL.height + 58;
  const height = legendTop + 22 * Math.ceil(names.length / 3);
  const parts = panels.map((panel, index) => {
    const left = PANEL.left + index * (PANEL.width + PANEL.left + PANEL.gap);
    const scale = panel.x.log ? Math.log : (value) => value;
    const [first, last] = [panel.x.ticks[0], panel.x.ticks.at(-1)].map(scale);
    const x = (value) => (left + (PANEL.width * (scale(value) - first)) / (last - first)).toFixed(1);
    const y = (value) => {
      const share = (Math.min(panel.y.to, value) - panel.y.from) / (panel.y.to - panel.y.from);
      return (PANEL.top + PANEL.height * (1 - share)).toFixed(1);
    };
    const bottom = PANEL.top + PANEL.height;
    return [
      `<text x="${left}" y="${PANEL.top - 10}" font-weight="bold">${escaped(panel.label)}</text>`,
      ...panel.y.ticks.map(
        (tick) =>
          `<line x1="${left}" x2="${left + PANEL.width}" y1="${y(tick)}" y2="${y(tick)}" stroke="#dadce0"/><text x="${left - 6}" y="${Number(y(tick)) + 4}" text-anchor="end">${tick.toFixed(2)}</text>`,
      ),
      ...panel.x.ticks.map(
        (tick) => `<text x="${x(tick)}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`,
      ),
      `<text x="${left + PANEL.width / 2}" y="${bottom + 36}" text-anchor="middle">${escaped(panel.x.name)}</text>`,
      ...panel.lines.map(
        ({ label, points }) =>
          `<polyline fill="none" stroke="${colour(label)}" stroke-width="2" points="${points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ")}"/>`,
      ),
    ].join("\n");
  });
  const legend = names.map((name, index) => {
    const [left, top] = [PANEL.left + 300 * (index % 3), legendTop + 22 * Math.floor(index / 3)];
    return `<rect x="${left}" y="${top - 10}" width="18" height="4" fill="${colour(name)}"/><text x="${left + 26}" y="${top - 3}">${escaped(name)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="20" y="28" font-size="15">${escaped(title)}</text>`,
    ...parts,
    ...legend,
    "</svg>",
    "",
  ].join("\n");
}
