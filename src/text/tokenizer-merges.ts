/** `#version` at the beginning of a merge in the older form makes it a comment. */
const COMMENT = Buffer.from("#version");
/** What a space and a `#` may be written as. */
const ESCAPED = new Set(["0020", "0023"]);

const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const COMMA = 0x2c;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const U = 0x75;

/**
 * Writes merges in their older form, `"a b"` for `["a", "b"]`, and without white space: the `tokenizers` package takes half
 * a second for Gemma's half a million merges where the pairs take it a whole one.
 *
 * @param bytes UTF-8 in which [begin, end) is the value of `model.merges`
 * @returns that value, shorter; undefined: it is no list of pairs of texts, or some text means something else in the
 * older form (a space in it, `#version` in front)
 */
export function joinMerges(bytes: Buffer, begin: number, end: number): Buffer | undefined {
  const out = Buffer.allocUnsafe(end - begin);
  let length = 0;
  let i = begin;
  /** The next byte that is no white space; -1 at the end. */
  const next = () => {
    while (i < end) {
      const c = bytes[i++] ?? 0;
      if (c !== SPACE && c !== 0x0a && c !== 0x0d && c !== 0x09) return c;
    }
    return -1;
  };
  /** Copies a text that `next` stands before, without its quotes; false where that is no such text. */
  const text = () => {
    if (next() !== QUOTE) return false;
    for (; i < end; i++) {
      const c = bytes[i] ?? 0;
      if (c === QUOTE) break;
      if (c === SPACE) return false;
      out[length++] = c;
      if (c !== BACKSLASH) continue;
      const letter = bytes[++i] ?? 0;
      out[length++] = letter;
      if (letter === U && ESCAPED.has(bytes.toString("latin1", i + 1, i + 5))) return false;
    }
    return i++ < end;
  };
  if (next() !== OPEN) return undefined;
  out[length++] = OPEN;
  for (let after = COMMA; after === COMMA; ) {
    if (next() !== OPEN) return undefined;
    out[length++] = QUOTE;
    const start = length;
    if (!text() || next() !== COMMA) return undefined;
    out[length++] = SPACE;
    if (!text() || next() !== CLOSE) return undefined;
    if (out[start] === HASH && out.subarray(start, start + COMMENT.length).equals(COMMENT)) return undefined;
    out[length++] = QUOTE;
    after = next();
    out[length++] = after;
    if (after !== COMMA && after !== CLOSE) return undefined;
  }
  return next() === -1 ? out.subarray(0, length) : undefined;
}
