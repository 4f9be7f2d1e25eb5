import { MlxGemmaError, throwIfAborted } from "../errors.js";
import { disposeAll, evaluate, fromInt32, type MlxArray, readBytes, scope } from "../mlx/array.js";
import { MAX_DRAFT_TOKENS } from "../options.js";
import type { Target, TargetSession } from "../target/target.js";
import type { Exactness } from "./stats.js";

/** Rows of the blocks that are compared: K + 1 for some K, the largest among them. */
const BLOCKS = [2, 4, 8, 16] as const;
/** Tokens before the blocks. */
const PROMPT = 16;

/** The full property: every block there can be, from the beginning and over the ends of Gemma 4's windows. */
const ALL_BLOCKS = Array.from({ length: MAX_DRAFT_TOKENS }, (_, index) => index + 2);
const PROMPTS = [PROMPT, 448, 960] as const;

/** The CPU kernels' way: each row's result depends on that row alone, whatever the block. */
const BY_CONSTRUCTION: Exactness = "by construction";

/**
 * Whether drafted text is that of plain decoding on this device. Our CPU kernels make it so; where MLX's own
 * operations run (`kernels` is `mlx`: Metal, CUDA), blocks of 2, 4, 8 and 16 rows are compared with the same rows
 * one by one, bit for bit, on the target's own weights. Without a drafter there is nothing to compare.
 *
 * @throws MlxGemmaError `unsupported` if `required` and it is not, `aborted`
 */
export async function exactnessOf(
  target: Target,
  {
    kernels,
    drafting,
    required = false,
    signal,
  }: {
    readonly kernels: string;
    readonly drafting: boolean;
    readonly required?: boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Exactness> {
  if (kernels !== "mlx" || !drafting) return BY_CONSTRUCTION;
  const exact = (await rowsEqualBlocks(target, signal)) ? "measured" : "not exact";
  if (required && exact === "not exact") {
    throw new MlxGemmaError(
      "unsupported",
      "--require-exact: expected the rows of a block to have the bits of single rows on this device, found others; " +
        "leave --require-exact out, or give --draft none",
    );
  }
  return exact;
}

/** Whether logits and last hidden states of blocks are, bit for bit, those of their rows alone. */
export async function rowsEqualBlocks(target: Target, signal?: AbortSignal): Promise<boolean> {
  return (await compare(target, BLOCKS, PROMPT, signal)).difference === undefined;
}

/** A row that has other bits in a block than alone. */
export interface RowDifference {
  /** Of the row. */
  readonly position: number;
  /** Rows of the block. */
  readonly rows: number;
}

/**
 * The full property on a target: blocks of 2 … 16 rows against their rows alone, bit for bit, after 16, 448 and 960 tokens.
 *
 * @throws MlxGemmaError `aborted`
 */
export async function checkExactness(
  target: Target,
  {
    signal,
    onProgress,
  }: {
    readonly signal?: AbortSignal | undefined;
    readonly onProgress?: ((done: number, total: number) => void) | undefined;
  } = {},
): Promise<{ readonly rowsCompared: number; readonly difference: RowDifference | undefined }> {
  const rows = ALL_BLOCKS.reduce((sum, size) => sum + size, 0);
  const prompts = PROMPTS.filter((prompt) => prompt + rows <= target.maxPositionEmbeddings);
  let rowsCompared = 0;
  for (const [index, prompt] of prompts.entries()) {
    onProgress?.(index, prompts.length);
    const result = await compare(target, ALL_BLOCKS, prompt, signal);
    rowsCompared += result.rowsCompared;
    if (result.difference) return { rowsCompared, difference: result.difference };
  }
  return { rowsCompared, difference: undefined };
}

/** Compares blocks of these sizes, one after the other behind a prompt, with their rows one by one. */
async function compare(
  target: Target,
  sizes: readonly number[],
  prompt: number,
  signal?: AbortSignal,
): Promise<{ readonly rowsCompared: number; readonly difference: RowDifference | undefined }> {
  const blockOf = sizes.flatMap((size) => Array.from({ length: size }, () => size));
  const single = blockOf.map(() => 1);
  const alone = await bytesOf(target, single, prompt, signal);
  const blocks = await bytesOf(target, sizes, prompt, signal);
  const row = alone.findIndex((bytes, index) => !bytes.equals(blocks[index] ?? Buffer.of()));
  const difference = row < 0 ? undefined : { position: prompt + row, rows: blockOf[row] ?? 0 };
  return { rowsCompared: alone.length, difference };
}

/** Each row's logits and last hidden state, of steps of `sizes` rows. */
async function bytesOf(
  target: Target,
  sizes: readonly number[],
  prompt: number,
  signal: AbortSignal | undefined,
): Promise<Buffer[]> {
  const length = prompt + sizes.reduce((sum, size) => sum + size, 0);
  const ids = Int32Array.from({ length }, (_, i) => (2 + i * 7919) % target.vocabSize);
  using session = target.openSession(Math.max(...sizes));
  const { logits, lastHidden } = await session.prefill(ids.subarray(0, prompt), signal ? { signal } : {});
  disposeAll([logits, lastHidden]);
  const rows: Buffer[] = [];
  for (const size of sizes) {
    throwIfAborted(signal, "the comparison was aborted");
    const begin = prompt + rows.length;
    rows.push(...(await stepRows(session, ids.subarray(begin, begin + size))));
  }
  return rows;
}

async function stepRows(session: TargetSession, ids: Int32Array): Promise<Buffer[]> {
  const { out, pending } = scope(() => {
    const { logits, lastHidden } = session.step(fromInt32(ids, [1, ids.length]));
    return { out: [logits, lastHidden], pending: session.pending() };
  });
  try {
    await evaluate([[...out, ...pending]]);
    session.keep(ids.length);
    const parts = out.map((array) => rowBytes(array, ids.length));
    return Array.from(ids, (_, row) => Buffer.concat(parts.map((part) => part[row] ?? Buffer.of())));
  } finally {
    disposeAll([...out, ...pending]);
  }
}

function rowBytes(array: MlxArray, rows: number): Uint8Array[] {
  const bytes = readBytes(array);
  const size = bytes.length / rows;
  return Array.from({ length: rows }, (_, row) => bytes.subarray(row * size, (row + 1) * size));
}
