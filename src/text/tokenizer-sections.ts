import { checkpointError, parseJson, quote, unescaped } from "../checkpoint/json.js";

const MAX_DEPTH = 32;
/** Of the sections that are parsed here. */
const MAX_SECTION = 16 * 1024 * 1024;
/** Bytes of one text: a model that could say a megabyte with each token would fill any memory. */
const MAX_TOKEN = 4096;
export const AGAIN = "download tokenizer.json again";

/** A tokenizer.json without its vocabulary and merges. */
export interface TokenizerSections {
  /** What stands beside `model`. */
  readonly top: ReadonlyMap<string, unknown>;
  /** What stands in `model`, beside `vocab` and `merges`. */
  readonly model: ReadonlyMap<string, unknown>;
  /** Where the value of `merges` begins and ends; undefined: there is none. */
  readonly merges: readonly [number, number] | undefined;
}

/**
 * Takes a tokenizer.json apart without parsing its vocabulary (Gemma's file has 32 MB). Mistakes in vocabulary and
 * merges are left to the tokenizer, which reads nothing before them that is not seen here; but a merge into more bytes than any
 * token has ends its process.
 *
 * @throws MlxGemmaError `checkpoint` for what is cut off, too deep, too long, or twice there
 */
export function sectionsOf(bytes: Buffer, file: string): TokenizerSections {
  const top = new Map<string, unknown>();
  const model = new Map<string, unknown>();
  const bad = (what: string) => checkpointError(file, `${what}; ${AGAIN}`);
  const levels: Level[] = [
    { into: top, names: new Set(), left: new Set(["model"]), key: undefined, begin: 0 },
    { into: model, names: new Set(), left: new Set(["vocab", "merges"]), key: undefined, begin: 0 },
  ];
  let depth = 0;
  let inModel = false;
  let string: readonly [number, number] = [0, 0];
  let merges: readonly [number, number] | undefined;
  const lengths = new MergeLengths();
  const level = () => (depth === 1 ? levels[0] : depth === 2 && inModel ? levels[1] : undefined);
  const end = (at: number) => {
    const now = level();
    if (!now || now.key === undefined) return;
    if (!now.left.has(now.key))
      now.into.set(now.key, parsed(bytes, now.begin, at, `${file}: ${quote(now.key)}`));
    if (inModel && now.key === "merges") merges = [now.begin, at];
    now.key = undefined;
  };
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (c === 0x22) {
      const start = i + 1;
      let escaped = false;
      for (i++; i < bytes.length && bytes[i] !== 0x22; i++) {
        if (bytes[i] !== 0x5c) continue;
        escaped = true;
        i++;
      }
      string = [start, i];
      if (i - start > MAX_TOKEN)
        throw bad(`expected texts of at most ${MAX_TOKEN} bytes, found one of ${i - start}`);
      if (inModel && depth > 2) {
        const length = escaped
          ? Buffer.byteLength(unescaped(bytes.toString("utf8", start - 1, i + 1)))
          : i - start;
        lengths.add(levels[1]?.key, depth, length);
      }
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > MAX_DEPTH) throw bad(`expected at most ${MAX_DEPTH} levels of nesting, found more`);
      if (depth === 2 && c === 0x7b && levels[0]?.key === "model") inModel = true;
    } else if (c === 0x7d || c === 0x5d) {
      end(i);
      if (inModel && depth > 2) lengths.close();
      if (depth === 2) inModel = false;
      depth--;
    } else if (c === 0x2c) {
      end(i);
    } else if (c === 0x3a) {
      const now = level();
      if (!now || now.key !== undefined) continue;
      const name = unescaped(bytes.toString("utf8", string[0] - 1, string[1] + 1));
      if (now.names.has(name)) throw bad(`the name ${quote(name)} stands twice in one object`);
      now.names.add(name);
      now.key = name;
      now.begin = i + 1;
    }
  }
  if (depth !== 0) throw bad("expected a tokenizer, found JSON that is cut off");
  if (lengths.merge > lengths.token) {
    const found = `found one of ${lengths.merge} bytes where the longest token has ${lengths.token}`;
    throw bad(`model.merges: expected merges into tokens of the vocabulary, ${found}`);
  }
  return { top, model, merges };
}

/** How many bytes the longest token and the longest merge have, as they pass. */
class MergeLengths {
  token = 0;
  merge = 0;
  #pair = 0;

  /** A text below `key` of the model: a token's, a merge's "a b", or one of a pair's. */
  add(key: string | undefined, depth: number, length: number): void {
    if (key === "vocab") this.token = Math.max(this.token, length);
    else if (key !== "merges") return;
    else if (depth === 3) this.merge = Math.max(this.merge, length - 1);
    else this.#pair += length;
  }

  /** The end of a list: of a pair, maybe. */
  close(): void {
    this.merge = Math.max(this.merge, this.#pair);
    this.#pair = 0;
  }
}

/** An object whose values are looked at. */
interface Level {
  readonly into: Map<string, unknown>;
  readonly names: Set<string>;
  /** Keys whose values are left unparsed. */
  readonly left: ReadonlySet<string>;
  /** Of the value that is being passed, and where it begins. */
  key: string | undefined;
  begin: number;
}

function parsed(bytes: Buffer, begin: number, end: number, where: string): unknown {
  if (end - begin > MAX_SECTION)
    throw checkpointError(where, `expected at most ${MAX_SECTION} bytes, found ${end - begin}; ${AGAIN}`);
  return parseJson(bytes.toString("utf8", begin, end), where, { maxDepth: MAX_DEPTH });
}
