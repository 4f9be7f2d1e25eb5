import { elements, type LogicalTensor, sortedByName, wholeOf } from "./logical.js";
import type { Inspected } from "./open.js";
import type { Difference, DiffView, ValueError } from "./schema.js";
import { type ReadingOptions, readAll, requireSound } from "./stats.js";
import { matching } from "./tensors.js";
import { RUN_VALUES, runAt, type Selection } from "./values/encoding.js";
import { type ErrorSums, mergeErrors, noErrors } from "./values/error-sums.js";

/** A tensor, or a part of one, under a name that both sides have. */
interface Comparable {
  readonly tensor: LogicalTensor;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly values: Selection;
}

interface Compared {
  readonly name: string;
  readonly ours?: Comparable;
  readonly theirs?: Comparable;
}

/**
 * How two checkpoints differ, tensor by tensor, whatever their packagings call them.
 *
 * @param readValues whether to read all weights, and tell the error of the other's values
 * @throws MlxGemmaError `usage` for a pattern that fits none, `checkpoint` for a header with a flaw or a file that ends early, `aborted`
 */
export async function diff(
  inspected: Inspected,
  other: Inspected,
  pattern: string | undefined,
  { readValues, ...options }: ReadingOptions & { readonly readValues: boolean },
): Promise<DiffView> {
  const [ours, theirs] = [comparables(inspected), comparables(other)];
  const names = sortedByName(new Set([...ours.keys(), ...theirs.keys()]), (name) => name);
  const compared = matching(names, pattern, (name) => name).map((name): Compared => {
    const [own, its] = [ours.get(name), theirs.get(name)];
    return { name, ...(own ? { ours: own } : {}), ...(its ? { theirs: its } : {}) };
  });
  for (const { ours, theirs } of readValues ? compared : []) {
    if (!ours || !theirs) continue;
    requireSound(inspected, ours.tensor);
    requireSound(other, theirs.tensor);
  }
  const errors = readValues ? await errorsOf(compared, options) : new Map<string, ErrorSums>();
  return {
    view: "diff",
    checkpoint: inspected.facts,
    other: other.facts,
    differences: compared.map((one) => difference(one, errors.get(one.name))),
  };
}

function comparables({ tensors, canonical }: Inspected): Map<string, Comparable> {
  return new Map(
    tensors.flatMap((tensor): (readonly [string, Comparable])[] => {
      const name = canonical(tensor.name);
      return stackedExperts(name, tensor) ?? [[name, comparable(tensor)]];
    }),
  );
}

function comparable(tensor: LogicalTensor): Comparable {
  return { tensor, shape: tensor.shape, bytes: tensor.bytes, values: wholeOf(tensor) };
}

/** Experts as MLX conversions name them: gate and up apart. */
function stackedExperts(name: string, tensor: LogicalTensor): [string, Comparable][] | undefined {
  const [, module, projection] = /^(.*\.experts)\.(gate_up_proj|down_proj)$/.exec(name) ?? [];
  if (projection === "down_proj") return [[`${module}.switch_glu.down_proj.weight`, comparable(tensor)]];
  const [count = 0, rows = 0, width = 0] = tensor.shape;
  if (projection === undefined || tensor.shape.length !== 3 || rows % 2 !== 0) return undefined;
  // (E, 2M, H): the gate's rows of each expert first.
  const block = Math.max(1, (rows / 2) * width);
  return ["gate_proj", "up_proj"].map((part, half) => [
    `${module}.switch_glu.${part}.weight`,
    {
      tensor,
      shape: [count, rows / 2, width],
      bytes: tensor.bytes / 2,
      values: {
        encoded: tensor.encoded,
        values: count * block,
        start: half * block,
        block,
        stride: 2 * block,
      },
    },
  ]);
}

async function errorsOf(
  compared: readonly Compared[],
  options: ReadingOptions,
): Promise<Map<string, ErrorSums>> {
  const pairs = compared.flatMap(({ name, ours, theirs }) =>
    ours && theirs && sameShape(ours, theirs) ? [{ name, ours, theirs, sums: noErrors() }] : [],
  );
  await readAll(
    pairs.map(({ ours, theirs, sums }) => ({
      values: elements(ours.shape),
      bytes: ours.bytes + theirs.bytes,
      next(from) {
        const first = runAt(ours.values, from, RUN_VALUES);
        const other = runAt(theirs.values, from, first.values);
        return { task: { run: { ...first, values: other.values }, other }, values: other.values };
      },
      take(result) {
        if ("sumProducts" in result) mergeErrors(sums, result);
      },
    })),
    options,
  );
  return new Map(pairs.map(({ name, sums }) => [name, sums]));
}

function difference({ name, ours, theirs }: Compared, sums: ErrorSums | undefined): Difference {
  return {
    name,
    status: statusOf(ours, theirs),
    checkpoint: sideOf(ours),
    other: sideOf(theirs),
    error: sums ? errorOf(sums) : null,
  };
}

function statusOf(ours: Comparable | undefined, theirs: Comparable | undefined): Difference["status"] {
  if (!ours) return "added";
  if (!theirs) return "missing";
  if (!sameShape(ours, theirs)) return "shape";
  return ours.tensor.dtype === theirs.tensor.dtype ? "same" : "dtype";
}

function sameShape(a: Comparable, b: Comparable): boolean {
  return a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);
}

function sideOf(side: Comparable | undefined): Difference["checkpoint"] {
  if (!side) return null;
  return { name: side.tensor.name, shape: [...side.shape], dtype: side.tensor.dtype, bytes: side.bytes };
}

/** Figures of an error from its sums. */
export function errorOf(sums: ErrorSums): ValueError {
  const { values, unequal, notFinite, maxAbs, sumSquaredError, sumSquares, sumSquaresOther, sumProducts } =
    sums;
  const finite = values - notFinite;
  const norms = Math.sqrt(sumSquares * sumSquaresOther);
  const noise = sumSquaredError > 0 && sumSquares > 0;
  return {
    values,
    unequal,
    maxAbs: finite > 0 ? maxAbs : null,
    rmse: finite > 0 ? Math.sqrt(sumSquaredError / finite) : null,
    relative: sumSquares > 0 ? Math.sqrt(sumSquaredError / sumSquares) : null,
    sqnr: noise ? 10 * Math.log10(sumSquares / sumSquaredError) : null,
    cosine: norms > 0 ? sumProducts / norms : null,
    notFinite,
  };
}
