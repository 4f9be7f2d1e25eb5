// Results of `npm run reliability` as lines of a page.

const HEAD = ["promise", "test", "tried", "failed", "time", "date, commit"];

/**
 * The lines between a form's two markers in docs/reliability.md.
 *
 * @param rows a promise each, with its newest `run`, or without one
 */
export function figures(form, rows) {
  const command = `npm run reliability -- ${form === "nightly" ? "--nightly " : ""}--save`;
  const machines = new Set(rows.flatMap(({ run }) => (run ? [machineOf(run.about)] : [])));
  return [
    `The newest run of each, by \`${command}\`:`,
    "",
    ...[HEAD, HEAD.map(() => "---"), ...rows.map(cells)].map((row) => `| ${row.join(" | ")} |`),
    ...[...machines].flatMap((one) => ["", `On ${one}.`]),
  ].join("\n");
}

/** A row as cells: promise, test, tried, failed, time, date and commit. */
export function cells({ promise, command, unit, run }) {
  const test = command.startsWith("npm ") ? `\`${command}\`` : command;
  if (!run) return [promise, test, "not run yet", "", "", ""];
  const { about, tried, failed, seconds } = run;
  const when = `${about.date.slice(0, 10)}, ${about.commit}`;
  return [promise, test, `${tried.toLocaleString("en")} ${unit}`, String(failed), time(seconds), when];
}

/** Puts the figures of a form between its markers. */
export function withFigures(page, form, text) {
  const [begin, end] = [`<!-- figures: ${form} -->`, `<!-- end: ${form} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from)
    throw new Error(`docs/reliability.md: expected ${begin} and then ${end}, found no such pair of lines`);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}

function machineOf({ cpu, cores, kernels, versions }) {
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cpu}, ${cores} cores, ${kernels}; ${software.join(", ")}`;
}

function time(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
