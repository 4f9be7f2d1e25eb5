import { TextDecoder } from "node:util";

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

/** How ids become text: what {@link Detokenizer} needs of a tokenizer. */
export interface PieceDecoder {
  /** The token's piece of the vocabulary; undefined for special tokens and ids that there are not. */
  piece(id: number): string | undefined;
  /** The text of a whole sequence of pieces. */
  join(pieces: readonly string[]): string;
  readonly hold: HoldRule;
  /** The beginning of a text is decoded unlike the rest. */
  readonly leading: boolean;
}

const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * Turns ids into text as they come. What it has given, with `flush()` at the end, is exactly what decoding all ids at
 * once gives: text is held back only while later tokens may change it. Byte tokens are held until their run ends,
 * since one bad byte turns the whole run into U+FFFD. Each token is decoded once or, in broken text, a few times.
 */
export class Detokenizer {
  readonly #decoder: PieceDecoder;
  #pending: string[] = [];
  /** Pieces that stand in front of the pending ones where the beginning is special; frozen once they have a text. */
  #anchor: string[] = [];
  #anchorText = "";
  /** Broken text is tried again only after half as many tokens more, so that the work stays linear. */
  #nextTry = 1;
  #run = new ByteRun();

  constructor(decoder: PieceDecoder) {
    this.#decoder = decoder;
  }

  /** Takes one id; returns the text that it settles, often its own, maybe "". */
  push(id: number): string {
    const piece = this.#decoder.piece(id);
    if (piece === undefined) return "";
    this.#pending.push(piece);
    const { hold } = this.#decoder;
    if (hold === "bytes") {
      const byte = BYTE_PIECE.exec(piece)?.[1];
      if (byte !== undefined) {
        this.#run.push(Number.parseInt(byte, 16));
        return "";
      }
    }
    if (this.#pending.length < this.#nextTry) return "";
    const text = this.#pendingText();
    if (hold === "replacement" && text.endsWith("\ufffd")) {
      this.#nextTry = this.#pending.length + Math.max(1, this.#pending.length >> 1);
      return "";
    }
    this.#settle(text);
    return text;
  }

  /** Settles what is held back: no more tokens come. A text may go on afterwards as a run of its own. */
  flush(): string {
    if (this.#pending.length === 0) return "";
    const text = this.#pendingText();
    this.#settle(text);
    return text;
  }

  /** What `flush()` would give of a run of byte tokens that is held back, up to its last whole character; "" when broken. */
  get tentative(): string {
    return this.#decoder.leading && this.#anchorText === "" ? "" : this.#run.text;
  }

  #pendingText(): string {
    if (this.#anchor.length === 0) return this.#decoder.join(this.#pending);
    return this.#decoder.join([...this.#anchor, ...this.#pending]).slice(this.#anchorText.length);
  }

  #settle(text: string): void {
    if (this.#decoder.leading && this.#anchorText === "") {
      this.#anchor.push(...this.#pending);
      this.#anchorText = text;
    }
    this.#pending = [];
    this.#nextTry = 1;
    this.#run.reset();
  }
}

/** Whole characters of a growing run of UTF-8 bytes. */
class ByteRun {
  text = "";
  #decoder: TextDecoder | undefined;
  #broken = false;

  push(byte: number): void {
    if (this.#broken) return;
    this.#decoder ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    try {
      this.text += this.#decoder.decode(Uint8Array.of(byte), { stream: true });
    } catch {
      this.#broken = true;
      this.text = "";
    }
  }

  reset(): void {
    this.text = "";
    this.#decoder = undefined;
    this.#broken = false;
  }
}
