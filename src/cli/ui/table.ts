import type { ChalkInstance } from "chalk";
import Table from "cli-table3";

/** Without rules. */
const BARE = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: " ",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: " ",
};

/** A table; where the columns are too few for one, each row has lines of its own. @param align of each column; default left */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  chalk: ChalkInstance,
  columns: number,
  align: readonly ("left" | "right")[] = [],
): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const needed = widths.reduce((sum, width) => sum + width + 2, 0);
  if (needed > columns) {
    return rows
      .flatMap(([first = "", ...rest]) => [
        `  ${first}`,
        ...rest.flatMap((cell, index) =>
          cell === "" ? [] : [chalk.dim(`    ${label(head[index + 1])}${cell}`)],
        ),
      ])
      .join("\n");
  }
  const drawn = new Table({
    chars: BARE,
    colAligns: head.map((_, column) => align[column] ?? "left"),
    style: { head: [], border: [], compact: true, "padding-left": 1, "padding-right": 0 },
  });
  drawn.push(
    head.map((name) => chalk.dim(name)),
    ...rows.map((row) => [...row]),
  );
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

function label(name = ""): string {
  return name === "" ? "" : `${name}: `;
}
