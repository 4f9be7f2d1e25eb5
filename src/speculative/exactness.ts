import { MlxGemmaError } from "../errors.js";
import { evaluate, fromInt32, type MlxArray, readBytes, scope } from "../mlx/array.js";
import type { Target, TargetSession } from "../target/target.js";
import type { Exactness } from "./stats.js";

/** Rows of the blocks that are compared: K + 1 for some K, the largest among them. */
const BLOCKS = [2, 4, 8, 16] as const;
/** Tokens before the blocks. */
const PROMPT = 16;
const ROWS = BLOCKS.reduce((sum, rows) => sum + rows, 0);

/** The CPU kernels' way: each row's result depends on that row alone, whatever the block. */
const BY_CONSTRUCTION: Exactness = "by construction";

/**
 * Whether drafted text is that of plain decoding on this device. Our CPU kernels make it so; where MLX's own
 * operations run (`kernels` is `mlx`: Metal, CUDA), blocks of 2, 4, 8 and 16 rows are compared with the same rows
 * one by one, bit for bit, on the target's own weights. Without a drafter there is nothing to compare.
 *
 * @throws MlxGemmaError `unsupported` if `required` and it is not
 */
export async function exactnessOf(
  target: Target,
  {
    kernels,
    drafting,
    required = false,
  }: { readonly kernels: string; readonly drafting: boolean; readonly required?: boolean },
): Promise<Exactness> {
  if (kernels !== "mlx" || !drafting) return BY_CONSTRUCTION;
  const exact = (await rowsEqualBlocks(target)) ? "measured" : "not exact";
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
export async function rowsEqualBlocks(target: Target): Promise<boolean> {
  const alone = await bytesOf(
    target,
    Array.from({ length: ROWS }, () => 1),
  );
  const blocks = await bytesOf(target, BLOCKS);
  return alone.every((bytes, row) => bytes.equals(blocks[row] ?? Buffer.of()));
}

/** Each row's logits and last hidden state, of steps of `sizes` rows. */
async function bytesOf(target: Target, sizes: readonly number[]): Promise<Buffer[]> {
  const ids = Int32Array.from({ length: PROMPT + ROWS }, (_, i) => (2 + i * 7919) % target.vocabSize);
  using session = target.openSession(Math.max(...sizes));
  const { logits, lastHidden } = await session.prefill(ids.subarray(0, PROMPT));
  for (const array of [logits, lastHidden]) array.dispose();
  const rows: Buffer[] = [];
  for (const size of sizes) {
    const begin = PROMPT + rows.length;
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
    for (const array of [...out, ...pending]) array.dispose();
  }
}

function rowBytes(array: MlxArray, rows: number): Uint8Array[] {
  const bytes = readBytes(array);
  const size = bytes.length / rows;
  return Array.from({ length: rows }, (_, row) => bytes.subarray(row * size, (row + 1) * size));
}
