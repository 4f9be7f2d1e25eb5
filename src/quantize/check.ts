import { openAssistant } from "../checkpoint/index.js";
import { type DraftStepInput, Gemma4Assistant } from "../drafter/gemma4-assistant.js";
import { throwIfAborted } from "../errors.js";
import { load } from "../load.js";
import {
  disposeAll,
  evaluate,
  fromInt32,
  type MlxArray,
  readFloat32,
  readInt32,
  scope,
} from "../mlx/array.js";
import { astype } from "../mlx/ops.js";
import type { StepOutput, Target } from "../target/target.js";
import { openTokenizer } from "../text/tokenizer.js";
import { type Candidates, compareScores, type ScoresChange, sumUp } from "./scores.js";

/** Plain prose, a number, code and another language: what quantizing harms shows in different places. */
const TEXT =
  "The lighthouse keeper counted 1,482 ships that year, and wrote each of them down before the lamp was lit. " +
  "In the morning he read:\n\ndef area(width, height):\n    return width * height\n\nLe phare reste allumé jusqu’à l’aube.";
/** Enough for an average, few enough that the logits of a real vocabulary fit into 70 MB. */
const MOST_TOKENS = 64;
/** Tokens that a drafter finds before it is asked for the first time. */
const FIRST = 4;

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * How far the logits of two forms of one target lie apart, position by position over a short text.
 *
 * @param before folder of the float form
 * @param after folder of the quantized form
 * @throws MlxGemmaError as `load`
 */
export async function compareTargets(
  before: string,
  after: string,
  { signal }: CheckOptions = {},
): Promise<ScoresChange> {
  const run = async (folder: string) => {
    using pair = await load({ model: folder, signal });
    const ids = await shortText(folder, pair.target);
    return await logitsOf(pair.target, ids);
  };
  // One after the other: memory holds one model.
  const first = await run(before);
  throwIfAborted(signal, "the comparison was aborted");
  const second = await run(after);
  return sumUp(first.map((logits, row) => compareScores({ logits }, { logits: second[row] ?? logits })));
}

/** Token ids of the text; for a folder without a tokenizer, ids spread over its vocabulary. */
async function shortText(folder: string, { vocabSize }: Target): Promise<Int32Array> {
  const tokenizer = await openTokenizer(folder);
  const ids = tokenizer
    ? await tokenizer.encodeRaw(TEXT)
    : Array.from({ length: MOST_TOKENS }, (_, i) => (2 + i * 7919) % vocabSize);
  return Int32Array.from(ids.slice(0, MOST_TOKENS));
}

async function logitsOf(target: Target, ids: Int32Array): Promise<Float32Array[]> {
  using session = target.openSession(ids.length);
  const tokens = fromInt32(ids, [1, ids.length]);
  const { logits, pending } = scope(() => ({
    logits: astype(session.step(tokens).logits, "float32"),
    pending: session.pending(),
  }));
  try {
    await evaluate([[logits, ...pending]]);
    const all = readFloat32(logits);
    return Array.from(ids, (_, row) => all.subarray(row * target.vocabSize, (row + 1) * target.vocabSize));
  } finally {
    disposeAll([tokens, logits, ...pending]);
  }
}

/**
 * As {@link compareTargets} for two forms of an assistant: what each would draft after every token of the text.
 *
 * @param target folder of the target that both draft for
 */
export async function compareAssistants(
  before: string,
  after: string,
  target: string,
  { signal }: CheckOptions = {},
): Promise<ScoresChange> {
  const how = signal ? { signal } : {};
  using pair = await load({ model: target, draft: before, signal });
  const ids = await shortText(target, pair.target);
  using first = await Gemma4Assistant.load(openAssistant(before), how);
  using second = await Gemma4Assistant.load(openAssistant(after), how);
  using session = pair.target.openSession(1);
  const changes: ScoresChange[] = [];
  let output = await session.prefill(ids.slice(0, FIRST), how);
  for (const id of ids.subarray(FIRST)) {
    throwIfAborted(signal, "the comparison was aborted");
    const bonus = fromInt32(Int32Array.of(id), [1, 1]);
    const [one, two] = await draftScores([first, second], () => ({
      embedding: pair.target.embed(bonus),
      hidden: output.lastHidden,
      sharedKv: session.sharedKv(),
      position: session.position,
    }));
    if (one && two) changes.push(compareScores(one, two));
    dispose(output);
    output = session.step(bonus);
    await evaluate([[output.logits, output.lastHidden, ...session.pending()]]);
    session.keep(1);
    bonus.dispose();
  }
  dispose(output);
  return sumUp(changes);
}

async function draftScores(
  assistants: readonly Gemma4Assistant[],
  inputOf: () => DraftStepInput,
): Promise<Candidates[]> {
  const scores = scope(() => {
    const input = inputOf();
    return assistants.map((assistant) => {
      const { logits, tokens } = assistant.head.scores(assistant.step(input).h);
      return { logits: astype(logits, "float32"), ...(tokens ? { tokens } : {}) };
    });
  });
  const arrays = scores.flatMap(({ logits, tokens }): MlxArray[] => (tokens ? [logits, tokens] : [logits]));
  try {
    await evaluate([arrays]);
    return scores.map(({ logits, tokens }) => ({
      logits: readFloat32(logits),
      ...(tokens ? { tokens: readInt32(tokens) } : {}),
    }));
  } finally {
    disposeAll(arrays);
  }
}

function dispose({ logits, lastHidden }: StepOutput): void {
  logits.dispose();
  lastHidden.dispose();
}
