import { isUtf8 } from "node:buffer";
import { checkpointError, describe, isObject } from "../checkpoint/json.js";
import { readWhole } from "../checkpoint/plain-file.js";
import { MlxGemmaError } from "../errors.js";
import type { HoldRule, TokenizerTraits } from "./detokenizer.js";
import { joinMerges } from "./tokenizer-merges.js";
import { checkTokenizer, stepsOf } from "./tokenizer-rules.js";
import { AGAIN, sectionsOf } from "./tokenizer-sections.js";

/** Twice Gemma 4's. */
const MAX_BYTES = 64 * 1024 * 1024;

/** A tokenizer.json that was read and checked. */
export interface TokenizerFile {
  /** For the tokenizer, which must not read a file that may have changed since; merges are in their shorter form. */
  readonly text: string;
  readonly traits: TokenizerTraits;
}

/**
 * Reads a tokenizer.json and checks what it asks for, see {@link checkTokenizer}.
 *
 * @throws MlxGemmaError `checkpoint` for a broken file, `unsupported` for what is not run, and a decoder that can't be
 * streamed.
 */
export function readTokenizerFile(file: string): TokenizerFile {
  return readTokenizer(readWhole(file, MAX_BYTES, AGAIN), file);
}

/** As {@link readTokenizerFile}, of a file's bytes. */
export function readTokenizer(bytes: Buffer, file: string): TokenizerFile {
  if (!isUtf8(bytes))
    throw checkpointError(file, `expected a tokenizer in UTF-8, found other bytes; ${AGAIN}`);
  const sections = sectionsOf(bytes, file);
  const specials = specialTokens(sections.top.get("added_tokens"), file);
  const traits = { specials, ...decoderTraits(sections.top.get("decoder"), file) };
  checkTokenizer(sections, file);
  return { text: shortened(bytes, sections.merges).toString("utf8"), traits };
}

function shortened(bytes: Buffer, merges: readonly [number, number] | undefined): Buffer {
  if (!merges) return bytes;
  const [begin, end] = merges;
  const joined = joinMerges(bytes, begin, end);
  return joined ? Buffer.concat([bytes.subarray(0, begin), joined, bytes.subarray(end)]) : bytes;
}

function specialTokens(section: unknown, file: string): Set<string> {
  const specials = new Set<string>();
  if (section === undefined || section === null) return specials;
  if (!Array.isArray(section))
    throw checkpointError(file, `added_tokens: expected a list, found ${describe(section)}; ${AGAIN}`);
  for (const token of section) {
    if (isObject(token) && token.special === true && typeof token.content === "string")
      specials.add(token.content);
  }
  return specials;
}

function decoderTraits(section: unknown, file: string): Pick<TokenizerTraits, "hold" | "leading"> {
  // Without a decoder tokens are joined by spaces.
  if (section === undefined || section === null) return { hold: "none", leading: true };
  let hold: HoldRule = "none";
  let leading = false;
  let fused = false;
  for (const step of stepsOf(section, "decoders", `${file}: decoder`)) {
    switch (step.type) {
      case "ByteFallback":
        if (!fused) hold = "bytes";
        break;
      case "ByteLevel":
        if (!fused) hold = "replacement";
        fused = true;
        break;
      case "Fuse":
        fused = true;
        break;
      case "Replace":
        if (fused && !replacesOneCharacter(step.pattern)) throw cannotStream(step, file);
        break;
      case "Strip":
        if (fused && step.stop !== 0) throw cannotStream(step, file);
        leading ||= fused;
        break;
      case "Metaspace":
        if (fused) throw cannotStream(step, file);
        leading = true;
        break;
      default:
        throw cannotStream(step, file);
    }
  }
  return { hold, leading };
}

function replacesOneCharacter(pattern: unknown): boolean {
  return isObject(pattern) && typeof pattern.String === "string" && [...pattern.String].length === 1;
}

function cannotStream(step: Readonly<Record<string, unknown>>, file: string): MlxGemmaError {
  return new MlxGemmaError(
    "unsupported",
    `${file}: decoder: a step of type ${describe(step.type)} as it stands here can't be streamed by this version; use Gemma 4's own tokenizer.json`,
  );
}
