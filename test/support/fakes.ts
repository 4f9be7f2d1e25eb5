// A target and a drafter that say what a script says, made of small MLX arrays, so that the loop runs as it is.
import type { DraftContext, Drafter } from "../../src/drafter/drafter.js";
import type { LoadedPair } from "../../src/load.js";
import { evaluate, fromFloat32, fromInt32, type MlxArray, scope } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import type { StepOutput, Target, TargetSession } from "../../src/target/target.js";

export const VOCAB = 50;
/** Positions that scripts are written for. */
const LENGTH = 256;
const WIDTH = 2;

/** The token that stands at `position` of the script. */
export type Script = (position: number) => number;

/** What the session was asked for. */
export interface SessionLog {
  readonly positions: number[];
  readonly blocks: number[];
  readonly kept: number[];
  sharedKvCalls: number;
  disposed: number;
}

export interface FakeTarget extends Target {
  readonly log: SessionLog;
}

/**
 * A target whose logits at position p are one-hot at `script(p + 1)`, whatever its tokens are. Its hidden row at p is
 * [p, the token it was given there], so that a row handed on can be told.
 */
export function scriptedTarget(
  script: Script,
  maxPositionEmbeddings = LENGTH,
  vocab: number = VOCAB,
): FakeTarget {
  const log: SessionLog = { positions: [], blocks: [], kept: [], sharedKvCalls: 0, disposed: 0 };
  const forward = (tokens: MlxArray, position: number): StepOutput => {
    const [, count = 0] = tokens.shape;
    const rows = new Float32Array(count * vocab);
    for (let row = 0; row < count; row++) rows[row * vocab + script(position + row + 1)] = 9;
    const places = Float32Array.from({ length: count }, (_, row) => position + row);
    return scope(() => ({
      logits: fromFloat32(rows, [1, count, vocab]),
      lastHidden: ops.concatenate(
        [fromFloat32(places, [1, count, 1]), ops.reshape(ops.astype(tokens, "float32"), [1, count, 1])],
        2,
      ),
    }));
  };
  return {
    log,
    vocabSize: vocab,
    hiddenSize: WIDTH,
    maxPositionEmbeddings,
    openSession: (maxBlock) => new FakeSession(maxBlock, forward, log),
    embed: (tokens) => ops.astype(ops.reshape(tokens, [1, 1, 1]), "float32"),
    [Symbol.dispose]() {},
  };
}

class FakeSession implements TargetSession {
  position = 0;
  #last = 0;

  constructor(
    readonly maxBlock: number,
    readonly forward: (tokens: MlxArray, position: number) => StepOutput,
    readonly log: SessionLog,
  ) {}

  async prefill(tokens: Int32Array): Promise<StepOutput> {
    this.position += tokens.length;
    const output = scope(() => {
      const last = fromInt32(tokens.slice(-1), [1, 1]);
      return this.forward(last, this.position - 1);
    });
    await evaluate([[output.logits, output.lastHidden]]);
    return output;
  }

  step(tokens: MlxArray): StepOutput {
    const [, count = 0] = tokens.shape;
    if (count > this.maxBlock) throw new RangeError(`a block of ${count}, maxBlock is ${this.maxBlock}`);
    this.log.positions.push(this.position);
    this.log.blocks.push(count);
    const output = this.forward(tokens, this.position);
    this.#last = count;
    this.position += count;
    return output;
  }

  pending(): MlxArray[] {
    return [ops.zeros([1], "float32")];
  }

  keep(n: number): void {
    if (n < 1 || n > this.#last) throw new RangeError(`keep(${n}) of a block of ${this.#last}`);
    this.log.kept.push(n);
    this.position -= this.#last - n;
    this.#last = n;
  }

  mark(): void {}

  rewind(position: number): void {
    this.position = position;
  }

  sharedKv(): Record<string, never> {
    this.log.sharedKvCalls += 1;
    return {};
  }

  [Symbol.dispose](): void {
    this.log.disposed += 1;
  }
}

/** What the drafter was asked for. */
export type ProposeCall = Pick<DraftContext, "position" | "steps">;

/**
 * A drafter that drafts `script(p)` for position p. Where the script starts it takes from the hidden row that it is
 * given, on the device: a wrong row gives wrong drafts.
 */
export function scriptedDrafter(script: Script): Drafter & { readonly calls: readonly ProposeCall[] } {
  const calls: ProposeCall[] = [];
  const table = Int32Array.from({ length: LENGTH }, (_, position) => script(position));
  return {
    calls,
    propose({ hidden, position, steps }) {
      calls.push({ position, steps });
      if (steps === 0) return { distributions: [] };
      return scope(() => {
        // The row before the bonus token's, so the first draft stands two positions on.
        const place = ops.astype(ops.slice(hidden, [0, 0, 0], [1, 1, 1]), "int32");
        const ahead = fromInt32(
          Int32Array.from({ length: steps }, (_, step) => step + 2),
          [1, 1, steps],
        );
        const drafts = ops.take(fromInt32(table, [LENGTH]), ops.add(place, ahead), 0);
        return { tokens: ops.reshape(drafts, [1, steps]), distributions: [] };
      });
    },
    [Symbol.dispose]() {},
  };
}

/** A pair as `load` gives it. */
export function fakePair(target: Target, drafter?: Drafter, eosTokenIds: readonly number[] = []): LoadedPair {
  return {
    target,
    ...(drafter ? { drafter } : {}),
    eosTokenIds,
    exact: "by construction",
    warnings: [],
    encodePrompt: () => Promise.reject(new Error("a fake has no tokenizer")),
    encodeChat: () => Promise.reject(new Error("a fake has no tokenizer")),
    [Symbol.dispose]() {},
  };
}
