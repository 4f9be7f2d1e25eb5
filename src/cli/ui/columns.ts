import type { ChalkInstance } from "chalk";
import { printableName } from "./terminal-text.js";
import { wrapWords } from "./wrap.js";

/** Where text is shown. */
export interface Screen {
  readonly chalk: ChalkInstance;
  /** Infinite: no terminal, nothing is cut. */
  readonly columns: number;
}

export interface Column {
  readonly head: string;
  /** Numbers stand at the right. */
  readonly right?: true;
  /** Of the first column: never cut, as when it is there to be copied. */
  readonly whole?: true;
}

/** A text, which someone else may have chosen, and how it is coloured once it has its width. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

const GAP = "  ";
/** Names are not cut to less. */
const LEAST_NAME = 16;

/**
 * A table without lines. The first column holds names, which are cut in the middle where the columns do not suffice
 * (unless they are to stay `whole`); where even that is not enough, every entry has lines of its own.
 */
export function columnsTable(
  head: readonly Column[],
  rows: readonly (readonly Cell[])[],
  screen: Screen,
): string {
  const { chalk, columns } = screen;
  const widths = head.map((column, i) =>
    rows.reduce((most, row) => Math.max(most, textOf(row[i]).length), column.head.length),
  );
  const [first = 0, ...others] = widths;
  const room = columns - others.reduce((sum, width) => sum + width + GAP.length, 0);
  const least = head[0]?.whole ? first : Math.min(first, LEAST_NAME);
  if (room < least) return stacked(head, rows, screen);
  const fitted = [Math.min(first, room), ...others];
  const line = (cells: readonly Cell[]) =>
    cells
      .map((cell, i) => {
        const width = fitted[i] ?? 0;
        const text = i === 0 ? cutMiddle(textOf(cell), width) : textOf(cell);
        const padded = head[i]?.right ? text.padStart(width) : text.padEnd(width);
        return typeof cell === "string" ? padded : cell.paint(padded);
      })
      .join(GAP)
      .trimEnd();
  return [chalk.dim(line(head.map((column) => column.head))), ...rows.map(line)].join("\n");
}

function stacked(
  head: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { chalk, columns }: Screen,
): string {
  return rows
    .flatMap(([name, ...cells]) => {
      const facts = cells.flatMap((cell, i) => {
        const text = textOf(cell).trim();
        return text === "" ? [] : [`${head[i + 1]?.head ?? ""} ${text}`.trim()];
      });
      const title = head[0]?.whole ? textOf(name) : cutMiddle(textOf(name), columns);
      return [title, chalk.dim(indented(facts.join(", "), columns))];
    })
    .join("\n");
}

function indented(text: string, columns: number): string {
  return wrapWords(text, columns - GAP.length)
    .map((line) => GAP + line)
    .join("\n");
}

function textOf(cell: Cell | undefined): string {
  return printableName(typeof cell === "string" ? cell : (cell?.text ?? ""));
}

/** The beginning and the end of a text that is too long. */
export function cutMiddle(text: string, width: number): string {
  if (text.length <= width) return text;
  if (width < 3) return text.slice(0, Math.max(0, width));
  // The end of a tensor's name tells more than its beginning.
  const tail = Math.ceil((width - 1) / 2);
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`;
}
