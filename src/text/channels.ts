import type { TextPiece } from "./sink.js";

/** Gemma 4's tokens around what the model thinks before it answers: `<|channel>thought\n … <channel|>`. */
const OPEN = "<|channel>";
const CLOSE = "<channel|>";
/** Stands in the system turn where the model is asked to think. */
export const THINK = "<|think|>";

/** A piece of an answer, told apart from what was thought. */
export interface ChannelPiece extends TextPiece {
  readonly thought: boolean;
}

/** Tells an answer's text from its thoughts as it comes, wherever pieces and marks border. */
export class ChannelSplitter {
  #thinking = false;
  /** The channel's name is no part of the thought. */
  #inName = false;
  /** What may be the beginning of a mark. */
  #held = "";
  #drafted = false;

  /** Takes the next piece; returns what is decided. */
  push({ text, drafted }: TextPiece): ChannelPiece[] {
    const pieces: ChannelPiece[] = [];
    let rest = this.#held + text;
    this.#drafted = drafted;
    for (;;) {
      const mark = this.#thinking ? CLOSE : OPEN;
      const at = rest.indexOf(mark);
      if (at < 0) {
        const decided = rest.length - beginning(rest, mark);
        this.#give(rest.slice(0, decided), pieces);
        this.#held = rest.slice(decided);
        return pieces;
      }
      this.#give(rest.slice(0, at), pieces);
      rest = rest.slice(at + mark.length);
      this.#thinking = !this.#thinking;
      this.#inName = this.#thinking;
    }
  }

  /** What was held back, when no more comes. */
  finish(): ChannelPiece[] {
    const pieces: ChannelPiece[] = [];
    this.#give(this.#held, pieces);
    this.#held = "";
    return pieces;
  }

  #give(text: string, pieces: ChannelPiece[]): void {
    let shown = text;
    if (this.#inName) {
      const end = text.indexOf("\n");
      if (end < 0) return;
      this.#inName = false;
      shown = text.slice(end + 1);
    }
    if (shown !== "") pieces.push({ text: shown, drafted: this.#drafted, thought: this.#thinking });
  }
}

/** Length of the longest end of `text` that begins `mark`. */
function beginning(text: string, mark: string): number {
  let length = Math.min(mark.length - 1, text.length);
  while (length > 0 && !text.endsWith(mark.slice(0, length))) length--;
  return length;
}

/** A model's message without what it thought; a thought that was cut goes too. */
export function withoutThoughts(text: string): string {
  if (!text.includes(OPEN)) return text;
  const splitter = new ChannelSplitter();
  return [...splitter.push({ text, drafted: false }), ...splitter.finish()]
    .filter(({ thought }) => !thought)
    .map((piece) => piece.text)
    .join("");
}
