import { colours } from "../../dist/cli/ui/colour.js";
import { columnsTable } from "../../dist/cli/ui/columns.js";

/** A table as the commands print it: names at the left, figures at the right. */
export function table([first, ...others], rows) {
  const head = [{ head: first, whole: true }, ...others.map((name) => ({ head: name, right: true }))];
  return columnsTable(
    head,
    rows.map((cells) => cells.map(String)),
    { chalk: colours("auto", process.stdout), columns: Number.POSITIVE_INFINITY },
  );
}
