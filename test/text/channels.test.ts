import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChannelSplitter, withoutThoughts } from "../../src/text/channels.js";

const ANSWER = "<|channel>thought\nLet me see.\n<channel|>Four.";

/** Texts of an answer that comes in these parts. */
function split(parts: readonly string[]): { thoughts: string; text: string } {
  const splitter = new ChannelSplitter();
  const pieces = parts.flatMap((text) => splitter.push({ text, drafted: false }));
  const all = [...pieces, ...splitter.finish()];
  const of = (thought: boolean) =>
    all
      .filter((piece) => piece.thought === thought)
      .map(({ text }) => text)
      .join("");
  return { thoughts: of(true), text: of(false) };
}

/** `text`, cut at these places. */
function cutAt(text: string, places: readonly number[]): string[] {
  const ends = [...new Set(places)].sort((a, b) => a - b);
  return [0, ...ends].map((begin, index) => text.slice(begin, ends[index] ?? text.length));
}

describe("channels", () => {
  it.each([
    [ANSWER, "Let me see.\n", "Four."],
    ["Plain.", "", "Plain."],
    ["<|channel>thought\n<channel|>Four.", "", "Four."],
    ["A<|channel>x\nb<channel|>C<|channel>y\nd<channel|>E", "bd", "ACE"],
    ["Cut: <|channel>thought\nwhere", "where", "Cut: "],
    ["Cut: <|channel>thou", "", "Cut: "],
    ["a <channel|> that nothing opened", "", "a <channel|> that nothing opened"],
    ["almost <|chan", "", "almost <|chan"],
  ])("of %j", (whole, thoughts, text) => {
    expect(split([whole])).toEqual({ thoughts, text });
    expect(withoutThoughts(whole)).toBe(text);
  });

  it("do not depend on how the text is cut", () => {
    const parts = fc.constantFrom("<|channel>", "<channel|>", "thought\n", "a", "<|", "<", "|>", "\n");
    fc.assert(
      fc.property(fc.array(parts), fc.array(fc.nat(60)), (words, places) => {
        const whole = words.join("");
        expect(split(cutAt(whole, places))).toEqual(split([whole]));
      }),
    );
  });

  it("hold back no more than the beginning of a mark", () => {
    const splitter = new ChannelSplitter();
    const push = (text: string) => splitter.push({ text, drafted: true }).map((piece) => piece.text);
    expect(push("a <|cha")).toEqual(["a "]);
    expect(push("t")).toEqual(["<|chat"]);
    expect(splitter.push({ text: "b", drafted: true })).toEqual([
      { text: "b", drafted: true, thought: false },
    ]);
  });
});
