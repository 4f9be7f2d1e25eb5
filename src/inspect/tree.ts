import { type LogicalTensor, sortedByName } from "./logical.js";
import type { Inspected } from "./open.js";
import type { TreeNode, TreeView } from "./schema.js";
import { matching } from "./tensors.js";

/** The names of all tensors as a tree; layers that are alike stand once. */
export function treeOf({ tensors, facts }: Inspected, pattern: string | undefined): TreeView {
  const root = new Map<string, Branch>();
  for (const tensor of matching(tensors, pattern, ({ name }) => name)) insert(root, tensor);
  return { view: "tree", checkpoint: facts, tree: nodesOf(root) };
}

interface Branch {
  readonly children: Map<string, Branch>;
  tensor?: LogicalTensor;
}

/** Deeper names are nobody's; a hostile one could be a million levels. */
const MAX_DEPTH = 32;

function insert(root: Map<string, Branch>, tensor: LogicalTensor): void {
  const parts = tensor.name.split(".");
  const path = [
    ...parts.slice(0, MAX_DEPTH - 1),
    ...(parts.length >= MAX_DEPTH ? [parts.slice(MAX_DEPTH - 1).join(".")] : []),
  ];
  let children = root;
  let branch: Branch | undefined;
  for (const part of path) {
    branch = children.get(part) ?? { children: new Map() };
    children.set(part, branch);
    children = branch.children;
  }
  if (branch) branch.tensor = tensor;
}

function nodesOf(branches: ReadonlyMap<string, Branch>): TreeNode[] {
  const nodes: { names: string[]; node: TreeNode }[] = [];
  const alike = new Map<string, string[]>();
  for (const [name, branch] of sortedByName(branches, ([name]) => name)) {
    const node = nodeOf(name, branch);
    const key = /^\d+$/.test(name) ? JSON.stringify(likeness(node, name)) : undefined;
    const group = key === undefined ? undefined : alike.get(key);
    if (group) {
      group.push(name);
      continue;
    }
    const names = [name];
    if (key !== undefined) alike.set(key, names);
    nodes.push({ names, node });
  }
  return nodes.map(({ names, node }) => (names.length === 1 ? node : repeated(node, names)));
}

function nodeOf(name: string, { children, tensor }: Branch): TreeNode {
  const below = nodesOf(children);
  const [only] = below;
  // A module with nothing but its weight is one line, and so is what leads to one part alone.
  if (only && below.length === 1 && only.times === 1 && !tensor)
    return { ...only, name: `${name}.${only.name}` };
  const of = (value: (node: TreeNode) => number) => below.reduce((sum, node) => sum + value(node), 0);
  return {
    name,
    times: 1,
    tensors: of((node) => node.tensors) + (tensor ? 1 : 0),
    parameters: of((node) => node.parameters) + (tensor?.parameters ?? 0),
    bytes: of((node) => node.bytes) + (tensor?.bytes ?? 0),
    shape: tensor ? [...tensor.shape] : null,
    dtype: tensor?.dtype ?? null,
    children: below,
  };
}

/** What makes two layers alike: all but the number, which the name begins with. */
function likeness({ name, shape, dtype, times, bytes, children }: TreeNode, number = ""): unknown[] {
  return [name.slice(number.length), shape, dtype, times, bytes, children.map((child) => likeness(child))];
}

/** One node for several: its own figures are of all of them, those below it of one. */
function repeated(node: TreeNode, names: readonly string[]): TreeNode {
  const times = names.length;
  return {
    ...node,
    name: ranges(names.map(Number)) + node.name.slice(names[0]?.length),
    times,
    tensors: node.tensors * times,
    parameters: node.parameters * times,
    bytes: node.bytes * times,
  };
}

/** `0-4, 6` of ascending numbers. */
export function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(", ");
}
