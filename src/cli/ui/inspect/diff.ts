import type { Difference, DiffView } from "../../../inspect/schema.js";
import { size } from "../../../units.js";
import { columnsTable, type Screen } from "../columns.js";
import { printableName } from "../terminal-text.js";
import { shapeText, value } from "./numbers.js";

const STATUSES = ["same", "dtype", "shape", "missing", "added"] as const;

/** How two checkpoints differ, for people; tensors that are the same are counted. */
export function diffText(view: DiffView, screen: Screen): string {
  const { differences, checkpoint, other } = view;
  const withValues = differences.some(({ error }) => error !== null);
  const shown = differences.filter(
    ({ status, error }) => status !== "same" || (error !== null && error.unequal > 0),
  );
  return [
    `-  ${printableName(checkpoint.name)}  ${size(checkpoint.bytes)}`,
    `+  ${printableName(other.name)}  ${size(other.bytes)}`,
    "",
    ...(shown.length === 0 ? [] : [withValues ? errorTable(shown, screen) : namesTable(shown, screen), ""]),
    countsLine(differences, withValues),
  ].join("\n");
}

function namesTable(differences: readonly Difference[], screen: Screen): string {
  return columnsTable(
    [{ head: "name" }, { head: "" }, { head: "checkpoint" }, { head: "other" }],
    differences.map(({ name, status, checkpoint, other }) => [
      name,
      status,
      sideText(checkpoint),
      sideText(other),
    ]),
    screen,
  );
}

function errorTable(differences: readonly Difference[], screen: Screen): string {
  const right = true;
  return columnsTable(
    [
      { head: "name" },
      { head: "checkpoint" },
      { head: "other" },
      { head: "max error", right },
      { head: "rmse", right },
      { head: "relative", right },
      { head: "SQNR, dB", right },
      { head: "cosine", right },
      { head: "not finite", right },
    ],
    differences.map(({ name, status, checkpoint, other, error }) => [
      name,
      error ? (checkpoint?.dtype ?? "") : sideText(checkpoint),
      error ? (other?.dtype ?? "") : sideText(other),
      ...(error
        ? [
            value(error.maxAbs),
            value(error.rmse),
            value(error.relative),
            error.sqnr === null ? "-" : error.sqnr.toFixed(1),
            error.cosine === null ? "-" : error.cosine.toFixed(6),
            String(error.notFinite),
          ]
        : [status]),
    ]),
    screen,
  );
}

function sideText(side: Difference["checkpoint"]): string {
  return side ? `${side.dtype} ${shapeText(side.shape)}` : "-";
}

function countsLine(differences: readonly Difference[], withValues: boolean): string {
  const counts = STATUSES.flatMap((status) => {
    const found = differences.filter((one) => one.status === status).length;
    return found > 0 ? [`${found} ${LABELS[status]}`] : [];
  });
  const unequal = differences.filter(({ error }) => error !== null && error.unequal > 0).length;
  const values = withValues ? `; ${unequal} with other values` : "";
  return `${differences.length} tensors: ${counts.join(", ")}${values}`;
}

const LABELS: Readonly<Record<Difference["status"], string>> = {
  same: "of the same shape and dtype",
  dtype: "of another dtype",
  shape: "of another shape",
  missing: "missing in the other",
  added: "only in the other",
};
