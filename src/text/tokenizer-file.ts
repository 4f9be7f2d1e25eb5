import { readFileSync } from "node:fs";
import {
  checkpointError,
  describe,
  isObject,
  parseJson,
  quote,
  reason,
  statFile,
} from "../checkpoint/json.js";
import { MlxGemmaError } from "../errors.js";

const MAX_BYTES = 256 * 1024 * 1024;
const MAX_DEPTH = 32;
/** Of the sections beside `model`, which are parsed here. */
const MAX_SECTION = 16 * 1024 * 1024;
const AGAIN = "download tokenizer.json again";

/**
 * What of the text may still change when more tokens come: `bytes`: a run of byte tokens, until it ends;
 * `replacement`: a U+FFFD at the end, which may be half a character; `none`: nothing.
 */
export type HoldRule = "bytes" | "replacement" | "none";

/** What of a tokenizer.json the streaming decoder must know. */
export interface TokenizerTraits {
  /** Contents of the special tokens, which decoding skips. */
  readonly specials: ReadonlySet<string>;
  readonly hold: HoldRule;
  /** The beginning of a text is decoded unlike the rest (a leading space is dropped). */
  readonly leading: boolean;
}

/**
 * Looks into a tokenizer.json without parsing its vocabulary (Gemma's file has 32 MB): checks its size and depth,
 * and reads the sections beside `model`.
 *
 * @throws MlxGemmaError `checkpoint` for a broken file, `unsupported` for a decoder that can't be streamed.
 */
export function readTraits(file: string): TokenizerTraits {
  const { size } = statFile(file, AGAIN);
  if (size > MAX_BYTES)
    throw checkpointError(file, `expected at most ${MAX_BYTES} bytes, found ${size}; ${AGAIN}`);
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw checkpointError(file, `expected a readable file, found ${reason(error)}; check its permissions`);
  }
  const sections = topLevelSections(bytes, file);
  return {
    specials: specialTokens(sections.get("added_tokens"), file),
    ...decoderTraits(sections.get("decoder"), file),
  };
}

/** The values of a JSON object's keys, `model` left out. Mistakes inside `model` are left to the tokenizer. */
function topLevelSections(bytes: Buffer, file: string): Map<string, unknown> {
  const sections = new Map<string, unknown>();
  let depth = 0;
  let key: string | undefined;
  let begin = -1; // of the value of `key`
  let string = -1; // of the last string at depth 1
  const end = (at: number) => {
    if (key === undefined || begin < 0) return;
    if (key !== "model") {
      if (at - begin > MAX_SECTION)
        throw checkpointError(
          file,
          `${quote(key)}: expected at most ${MAX_SECTION} bytes, found ${at - begin}; ${AGAIN}`,
        );
      sections.set(
        key,
        parseJson(bytes.toString("utf8", begin, at), `${file}: ${quote(key)}`, { maxDepth: MAX_DEPTH }),
      );
    }
    key = undefined;
    begin = -1;
  };
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (c === 0x22) {
      const start = i;
      for (i++; i < bytes.length && bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++;
      if (depth === 1 && key === undefined) string = start;
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > MAX_DEPTH)
        throw checkpointError(file, `expected at most ${MAX_DEPTH} levels of nesting, found more; ${AGAIN}`);
    } else if (c === 0x7d || c === 0x5d) {
      if (--depth === 0) end(i);
    } else if (depth === 1 && c === 0x3a && key === undefined && string >= 0) {
      key = bytes.toString("utf8", string + 1, bytes.lastIndexOf(0x22, i));
      begin = i + 1;
    } else if (depth === 1 && c === 0x2c) {
      end(i);
    }
  }
  return sections;
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
  for (const step of steps(section, file)) {
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

function steps(section: unknown, file: string): Readonly<Record<string, unknown>>[] {
  const list = isObject(section) && section.type === "Sequence" ? section.decoders : [section];
  if (!Array.isArray(list))
    throw checkpointError(file, `decoder: expected a list of decoders, found ${describe(list)}; ${AGAIN}`);
  return list.map((step) => {
    if (isObject(step)) return step;
    throw checkpointError(file, `decoder: expected an object, found ${describe(step)}; ${AGAIN}`);
  });
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
