import type {
  CheckView,
  Inspection,
  PairView,
  TensorsView,
  TreeNode,
  TreeView,
} from "../../../inspect/schema.js";
import { size } from "../../../units.js";
import { type Cell, columnsTable, type Screen } from "../columns.js";
import { printableName } from "../terminal-text.js";
import { count, shapeText } from "./numbers.js";

/** What was found, for people. */
export async function inspectionText(view: Inspection, screen: Screen): Promise<string> {
  switch (view.view) {
    case "summary":
      return (await import("./summary.js")).summaryText(view, screen);
    case "tensors":
      return tensorsText(view, screen);
    case "tree":
      return treeText(view, screen);
    case "stats":
      return (await import("./stats.js")).statsText(view, screen);
    case "check":
      return checkText(view);
    case "pair":
      return pairText(view, screen);
    case "diff":
      return (await import("./diff.js")).diffText(view, screen);
  }
}

function tensorsText({ tensors, checkpoint }: TensorsView, screen: Screen): string {
  const severalShards = checkpoint.shards.length > 1;
  return columnsTable(
    [
      { head: "name" },
      { head: "shape" },
      { head: "dtype" },
      { head: "bytes", right: true },
      { head: "offset", right: true },
      ...(severalShards ? [{ head: "shard" }] : []),
    ],
    tensors.map(({ name, shape, dtype, bytes, offset, shard }) => [
      name,
      shapeText(shape),
      dtype,
      String(bytes),
      String(offset),
      ...(severalShards ? [shard] : []),
    ]),
    screen,
  );
}

function treeText({ tree }: TreeView, screen: Screen): string {
  const rows: Cell[][] = [];
  const walk = (nodes: readonly TreeNode[], indent: string) => {
    for (const [i, node] of nodes.entries()) {
      const last = i === nodes.length - 1;
      const times = node.times > 1 ? ` (${node.times} ×)` : "";
      rows.push([
        `${indent}${last ? "└ " : "├ "}${node.name}${times}`,
        node.shape ? shapeText(node.shape) : "",
        node.dtype ?? "",
        node.parameters > 0 ? count(node.parameters) : "",
        size(node.bytes),
      ]);
      walk(node.children, indent + (last ? "  " : "│ "));
    }
  };
  walk(tree, "");
  const head = [
    { head: "name" },
    { head: "shape" },
    { head: "dtype" },
    { head: "parameters", right: true } as const,
    { head: "bytes", right: true } as const,
  ];
  return columnsTable(head, rows, screen);
}

function checkText({ findings, checkpoint, valuesRead }: CheckView): string {
  if (findings.length > 0) return findings.map(({ message }) => printableName(message)).join("\n");
  return `${printableName(checkpoint.name)}: no flaw found in ${size(checkpoint.bytes)}${valuesRead ? "" : ", by the headers"}`;
}

function pairText({ rules, assistant, checkpoint }: PairView, screen: Screen): string {
  const { chalk } = screen;
  const table = columnsTable(
    [{ head: "rule" }, { head: "" }, { head: "target" }, { head: "assistant" }],
    rules.map(({ what, target, assistant: own, fits }) => [
      what,
      fits ? { text: "✓", paint: chalk.green } : { text: "✗", paint: chalk.red },
      target,
      own,
    ]),
    screen,
  );
  return [
    `target     ${printableName(checkpoint.name)}`,
    `assistant  ${printableName(assistant.name)}`,
    "",
    table,
  ].join("\n");
}
