// Results of `npm run reliability` as lines of a page.

/** The lines between a form's two markers in docs/reliability.md. */
export function figures(form, { date, commit, cpu, cores, kernels, versions }, rows) {
  const about = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  return [
    `${date.slice(0, 10)}, commit ${commit}, ${cpu}, ${cores} cores, ${kernels}; ${about}; \`npm run reliability${
      form === "nightly" ? " -- --nightly" : ""
    }\`:`,
    "",
    "| promise | test | tried | failed | time |",
    "|---|---|---|---|---|",
    ...rows.map((row) => `| ${cells(row).join(" | ")} |`),
  ].join("\n");
}

/** A row as cells: promise, test, tried, failed, time. */
export function cells({ promise, command, unit, tried, failed, seconds }) {
  const test = command.startsWith("npm ") ? `\`${command}\`` : command;
  return [promise, test, `${tried.toLocaleString("en")} ${unit}`, String(failed), time(seconds)];
}

/** Puts the figures of a form between its markers. */
export function withFigures(page, form, text) {
  const [begin, end] = [`<!-- figures: ${form} -->`, `<!-- end: ${form} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from)
    throw new Error(`docs/reliability.md: expected ${begin} and then ${end}, found no such pair of lines`);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}

function time(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
