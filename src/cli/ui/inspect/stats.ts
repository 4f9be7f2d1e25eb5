import type { StatsView, ValueStats } from "../../../inspect/schema.js";
import { type Cell, columnsTable, type Screen } from "../columns.js";
import { printableName } from "../terminal-text.js";
import { plot, sparkline } from "./histogram.js";
import { shapeText, value } from "./numbers.js";

/** So few tensors have a plot each. */
const PLOTTED = 3;
const PLOT_HEIGHT = 6;

/** Statistics of values, for people. */
export function statsText({ stats }: StatsView, screen: Screen): string {
  const table = columnsTable(
    [
      { head: "name" },
      { head: "shape" },
      { head: "dtype" },
      { head: "min", right: true },
      { head: "max", right: true },
      { head: "mean", right: true },
      { head: "std", right: true },
      { head: "zeros", right: true },
      { head: "NaN", right: true },
      { head: "Inf", right: true },
      { head: "outliers in", right: true },
      { head: "outliers out", right: true },
      { head: "mean ± 4 std" },
    ],
    stats.map((one) => row(one, screen)),
    screen,
  );
  if (stats.length > PLOTTED) return table;
  return [table, ...stats.flatMap((one) => ["", ...details(one, screen)])].join("\n");
}

function row(stats: ValueStats, { chalk }: Screen): Cell[] {
  const { name, shape, dtype, min, max, mean, std, zeros, nan, inf, histogram } = stats;
  const alarming = (times: number): Cell => ({
    text: String(times),
    paint: times > 0 ? chalk.red : (text) => text,
  });
  return [
    name,
    shapeText(shape),
    dtype,
    value(min),
    value(max),
    value(mean),
    value(std),
    String(zeros),
    alarming(nan),
    alarming(inf),
    outliers(stats, "input"),
    outliers(stats, "output"),
    histogram ? sparkline(histogram) : "",
  ];
}

function outliers({ channels }: ValueStats, wanted: "input" | "output"): string {
  const found = channels.find(({ axis }) => axis === wanted);
  return found ? String(found.outliers) : "-";
}

function details({ name, histogram, channels }: ValueStats, { chalk, columns }: Screen): string[] {
  return [
    chalk.bold(printableName(name)),
    ...(histogram && histogram.bins.length <= columns ? plot(histogram, PLOT_HEIGHT, value) : []),
    ...channels.flatMap(({ axis, largest }) =>
      largest.length > 0
        ? [
            `${axis} channels: ${largest.map(({ channel, ratio }) => `${channel} (${ratio.toFixed(1)} ×)`).join(", ")}`,
          ]
        : [],
    ),
  ];
}
