import fc from "fast-check";
import { Tokenizer } from "tokenizers";
import { describe, expect, it } from "vitest";
import { readTokenizer } from "../../src/text/tokenizer-file.js";
import { joinMerges } from "../../src/text/tokenizer-merges.js";

const joined = (text: string) => joinMerges(Buffer.from(text), 0, Buffer.byteLength(text))?.toString("utf8");

describe("merges in their older form", () => {
  it.each<[string, string, string]>([
    ["one pair", '[["a","b"]]', '["a b"]'],
    ["white space", ' [ [\n"a" ,\t"b"\r] , ["ab","c"] ] ', '["a b","ab c"]'],
    ["empty texts", '[["",""],["a",""]]', '[" ","a "]'],
    ["escapes", '[["\\"","\\\\"],["\\u00e9","\\n"]]', '["\\" \\\\","\\u00e9 \\n"]'],
    ["brackets and commas in texts", '[["],[",","],["#","#versio"]]', '["],[ ,","# #versio"]'],
    ["letters past ASCII", '[["▁","你"]]', '["▁ 你"]'],
  ])("say the same: %s", (_, pairs, expected) => {
    expect(joined(pairs)).toBe(expected);
  });

  it.each([
    ["no list", "null"],
    ["nothing", ""],
    ["an empty list", "[]"],
    ["the older form already", '["a b"]'],
    ["both forms", '[["a","b"],"a b"]'],
    ["a text alone", '[["a"]]'],
    ["three texts", '[["a","b","c"]]'],
    ["a number", '[["a",1]]'],
    ["more behind it", '[["a","b"]]x'],
    ["a zero byte behind it", '[["a","b"]]\u0000x'],
    ["an end too early", '[["a","b"]'],
    ["an end in a text", '[["a","b'],
    ["an end in an escape", '[["a","b\\'],
    ["a control character between texts", '[["a",\u0001"b"]]'],
    ["a space in a text", '[["a","b c"]]'],
    ["a space that is written as a number", '[["a\\u0020","b"]]'],
    ["what would be a comment", '[["#version","b"]]'],
    ["what begins like one", '[["#version2",""]]'],
    ["the same as a number", '[["\\u0023version","b"]]'],
  ])("are left as they are: %s", (_, text) => {
    expect(joined(text)).toBeUndefined();
  });

  it("make the same tokens of a text", async () => {
    const letters = ["a", "b", "▁", '"', "\\", "é", "\n", "#", "[", ","];
    const rules = fc.array(fc.tuple(fc.nat(99), fc.nat(99)), { maxLength: 30 });
    const texts = fc.array(fc.constantFrom(...letters, " "), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(rules, texts, fc.boolean(), async (places, parts, pretty) => {
        const vocab = [...letters];
        const merges: [string, string][] = [];
        for (const [a, b] of places) {
          const pair: [string, string] = [vocab[a % vocab.length] ?? "", vocab[b % vocab.length] ?? ""];
          const token = pair.join("");
          if (vocab.includes(token) || token.length > 12) continue;
          vocab.push(token);
          merges.push(pair);
        }
        const model = {
          type: "BPE",
          vocab: Object.fromEntries(vocab.map((token, id) => [token, id])),
          merges,
        };
        const file = JSON.stringify({ version: "1.0", added_tokens: [], model }, null, pretty ? 2 : 0);
        const { text } = readTokenizer(Buffer.from(file), "tokenizer.json");
        if (merges.length > 0) expect(text.length).toBeLessThan(file.length);
        const [ours, theirs] = await Promise.all(
          [text, file].map(async (json) => {
            const encoding = await Tokenizer.fromString(json).encode(parts.join(""), null);
            return encoding.getIds();
          }),
        );
        expect(ours).toEqual(theirs);
      }),
      { numRuns: 300 },
    );
  });
});
