import { checkpointError, describe, isObject } from "../checkpoint/json.js";
import { MlxGemmaError } from "../errors.js";
import { AGAIN, type TokenizerSections } from "./tokenizer-sections.js";

type Json = Readonly<Record<string, unknown>>;

/** Steps of one section. */
const MAX_STEPS = 32;
/** How many times longer the steps of one section may make a text, all together. */
const MAX_GROWTH = 256;
/** What `Prepend` may put before a text, in bytes. */
const MAX_PREPENDED = 64;

/** The steps that are known, with the most times longer each makes a text; `pattern`: its own pattern decides. */
const NORMALIZERS: Steps = {
  Replace: "pattern",
  Prepend: 1,
  NFC: 3,
  NFD: 3,
  NFKC: 18,
  NFKD: 18,
  Lowercase: 2,
  Strip: 1,
  StripAccents: 1,
  ByteLevel: 2,
};
const PRE_TOKENIZERS: Steps = {
  Split: "pattern",
  Metaspace: 3,
  ByteLevel: 2,
  Whitespace: 1,
  WhitespaceSplit: 1,
  Digits: 1,
  Punctuation: 1,
};
const DECODERS: Steps = {
  Replace: "pattern",
  ByteFallback: 1,
  ByteLevel: 2,
  Fuse: 1,
  Strip: 1,
  Metaspace: 1,
};

const POST_PROCESSORS: Steps = { TemplateProcessing: 1, ByteLevel: 1 };

/** Where a `Sequence` of each section has its steps. */
type StepList = "normalizers" | "pretokenizers" | "decoders" | "processors";
type Steps = Readonly<Record<string, number | "pattern">>;

/**
 * Refuses what the `tokenizers` package runs but a stranger's file must not ask for. A tokenizer.json is a program:
 * a regular expression of it can try for hours, or until the package gives up and ends the process with itself; a chain
 * of replacements doubles a text with each step; character maps and prefixes are not checked before they are indexed.
 *
 * @throws MlxGemmaError `unsupported` for what Gemma 4's tokenizers don't need, `checkpoint` for what is none
 */
export function checkTokenizer({ top, model }: TokenizerSections, file: string): void {
  if (model.size === 0) throw checkpointError(file, `expected a tokenizer, found no model in it; ${AGAIN}`);
  if (model.get("type") !== "BPE") throw unsupported(file, "model.type", describe(model.get("type")));
  for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = model.get(key) ?? "";
    if (value !== "" && value !== 0) throw unsupported(file, `model.${key}`, describe(value));
  }
  checkSteps(top.get("normalizer"), "normalizers", NORMALIZERS, `${file}: normalizer`);
  checkSteps(top.get("pre_tokenizer"), "pretokenizers", PRE_TOKENIZERS, `${file}: pre_tokenizer`);
  checkSteps(top.get("decoder"), "decoders", DECODERS, `${file}: decoder`);
  checkSteps(top.get("post_processor"), "processors", POST_PROCESSORS, `${file}: post_processor`);
}

/** What a template puts around one text: the package looks up neither the text nor its tokens before it takes them. */
function checkTemplate({ single, special_tokens: tokens }: Json, where: string): void {
  const known = new Set(isObject(tokens) ? Object.keys(tokens) : []);
  const idOf = (piece: unknown) => (isObject(piece) ? piece.id : undefined);
  const pieces: readonly unknown[] = Array.isArray(single) ? single : [undefined];
  for (const piece of pieces) {
    if (isObject(piece) && idOf(piece.Sequence) === "A") continue;
    const token = isObject(piece) ? idOf(piece.SpecialToken) : undefined;
    if (typeof token === "string" && known.has(token)) continue;
    throw unsupported(where, "a piece of TemplateProcessing", describe(token ?? piece));
  }
}

/** The steps of a section: a `Sequence`'s own, however deep. @throws MlxGemmaError `checkpoint` */
export function stepsOf(section: unknown, list: StepList, where: string): Json[] {
  if (section === undefined || section === null) return [];
  const bad = (expected: string, found: unknown) =>
    checkpointError(where, `expected ${expected}, found ${describe(found)}; ${AGAIN}`);
  if (!isObject(section)) throw bad("an object", section);
  if (section.type !== "Sequence") return [section];
  const steps = section[list];
  if (!Array.isArray(steps)) throw bad(`a list of ${list}`, steps);
  return steps.flatMap((step: unknown) => {
    if (!isObject(step)) throw bad("an object", step);
    return stepsOf(step, list, where);
  });
}

function checkSteps(section: unknown, list: StepList, known: Steps, where: string): void {
  const steps = stepsOf(section, list, where);
  if (steps.length > MAX_STEPS)
    throw checkpointError(where, `expected at most ${MAX_STEPS} steps, found ${steps.length}; ${AGAIN}`);
  let growth = 1;
  for (const step of steps) {
    const { type } = step;
    const factor = typeof type === "string" && Object.hasOwn(known, type) ? known[type] : undefined;
    if (factor === undefined) throw unsupported(where, "a step of type", describe(type));
    growth *= factor === "pattern" ? growthOf(step, where) : factor;
    const prepended = bytesOf(step.prepend); // the package ends the process where there are none
    if (type === "Prepend" && (prepended === 0 || prepended > MAX_PREPENDED))
      throw unsupported(where, "Prepend", `a text of ${prepended} bytes`);
    if (type === "TemplateProcessing") checkTemplate(step, where);
  }
  if (growth > MAX_GROWTH)
    throw checkpointError(
      where,
      `expected steps that make a text at most ${MAX_GROWTH} times longer, found ${Math.round(growth)} times; ${AGAIN}`,
    );
}

/** How many times longer a replacement makes a text; a `Split` has no content and leaves it as it is. */
function growthOf({ type, pattern, content }: Json, where: string): number {
  const text = isObject(pattern) ? pattern.String : undefined;
  if (typeof text !== "string" || text === "") {
    const found =
      isObject(pattern) && typeof pattern.Regex === "string" ? "a regular expression" : describe(text);
    throw unsupported(where, `the pattern of ${String(type)}`, found);
  }
  return Math.max(1, bytesOf(content) / Buffer.byteLength(text));
}

function bytesOf(text: unknown): number {
  return typeof text === "string" ? Buffer.byteLength(text) : 0;
}

function unsupported(where: string, what: string, found: string): MlxGemmaError {
  return new MlxGemmaError(
    "unsupported",
    `${where}: ${what}: found ${found}, which this version does not run; use Gemma 4's own tokenizer.json`,
  );
}
