import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopMatcher } from "../../src/text/stop.js";

interface Outcome {
  readonly text: string;
  readonly stop?: string | undefined;
}

function run(stops: readonly string[], chunks: readonly string[]): Outcome {
  const matcher = new StopMatcher(stops);
  let text = "";
  let stop: string | undefined;
  for (const chunk of chunks) {
    const result = matcher.push(chunk);
    text += result.text;
    stop ??= result.stop;
  }
  return { text: text + matcher.flush(), stop };
}

/** By brute force: the first prefix of the text that holds a stop, cut before the longest one. */
function expected(stops: readonly string[], text: string): Outcome {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => stop !== "" && text.slice(0, end).endsWith(stop));
    const longest = ending.sort((a, b) => b.length - a.length)[0];
    if (longest !== undefined) return { text: text.slice(0, end - longest.length), stop: longest };
  }
  return { text, stop: undefined };
}

describe("stop texts", () => {
  it("are found across every split", () => {
    const text = "one STOP two";
    for (let i = 0; i <= text.length; i++) {
      for (let j = i; j <= text.length; j++) {
        const chunks = [text.slice(0, i), text.slice(i, j), text.slice(j)];
        expect(run(["STOP"], chunks)).toEqual({ text: "one ", stop: "STOP" });
      }
    }
  });

  it("are found as brute force finds them, whatever the stops and splits", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), maxLength: 16 });
    const stops = fc.array(
      fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), minLength: 1, maxLength: 4 }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(stops, fc.array(letters, { maxLength: 8 }), (list, chunks) => {
        expect(run(list, chunks)).toEqual(expected(list, chunks.join("")));
        expect(run(list, [...chunks.join("")])).toEqual(expected(list, chunks.join("")));
      }),
      { numRuns: 1000 },
    );
  });

  it("hold back only what may begin one", () => {
    const matcher = new StopMatcher(["abc", "bd"]);
    expect(matcher.push("xxab")).toEqual({ text: "xx" });
    expect(matcher.push("x")).toEqual({ text: "abx" });
    expect(matcher.push("aab")).toEqual({ text: "a" });
    expect(matcher.push("d!")).toEqual({ text: "a", stop: "bd" });
    expect(matcher.push("more")).toEqual({ text: "" });
    expect(matcher.flush()).toBe("");
  });

  it("hold back nothing where there are none", () => {
    expect(new StopMatcher([]).push("abc")).toEqual({ text: "abc" });
    expect(new StopMatcher([""]).push("abc")).toEqual({ text: "abc" });
  });

  it("can be looked for ahead", () => {
    const matcher = new StopMatcher(["abc"]);
    matcher.push("xa");
    expect(matcher.wouldStop("bc", 1)).toBe(true);
    expect(matcher.wouldStop("bd", 1)).toBe(false);
    expect(matcher.wouldStop("xxxxxxabc", 1)).toBe(true);
    expect(matcher.push("bd")).toEqual({ text: "abd" });
  });
});
