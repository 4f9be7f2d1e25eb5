import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { Drafter } from "../src/drafter/drafter.js";
import type { ErrorCode } from "../src/errors.js";
import { load } from "../src/load.js";
import type { LoadOptions } from "../src/options.js";
import { exactnessOf } from "../src/speculative/exactness.js";
import { refuseWarnings, WARNING_CODES, type WarningCode, WarningList } from "../src/warnings.js";
import { rejected, temporaryFolder, thrown } from "./checkpoint/helpers.js";
import { EMBEDDED } from "./cli/helpers.js";
import { fakePair, type Script, scriptedDrafter, scriptedTarget, VOCAB } from "./support/fakes.js";
import { run } from "./support/generation.js";

vi.mock("../src/speculative/exactness.js", async (original) => ({
  ...(await original<typeof import("../src/speculative/exactness.js")>()),
  exactnessOf: vi.fn(async () => "by construction"),
}));

const GOLDEN = "test/golden";

/** The embedded target and this assistant, side by side, in a folder of their own. */
function pairOf(assistant: string | undefined, model = `${EMBEDDED}/target`): string {
  const folder = temporaryFolder();
  cpSync(model, join(folder, "target"), { recursive: true });
  if (assistant !== undefined) cpSync(assistant, join(folder, "assistant"), { recursive: true });
  return join(folder, "target");
}

function changed(file: string, change: (json: Record<string, unknown>) => void): void {
  const json: Record<string, unknown> = JSON.parse(readFileSync(file, "utf8"));
  change(json);
  writeFileSync(file, JSON.stringify(json));
}

/** Loads, lets go, and tells the codes. */
async function codesOf(options: LoadOptions): Promise<{ codes: WarningCode[]; drafts: boolean }> {
  using pair = await load({ offline: true, ...options });
  return { codes: pair.warnings.map(({ code }) => code), drafts: pair.drafter !== undefined };
}

describe("a pair that was asked to draft", () => {
  /** Each: what is wrong with the assistant that lies beside the target. */
  const WRONG: readonly (readonly [string, () => string, WarningCode, ErrorCode])[] = [
    ["there is none", () => pairOf(undefined), "no-assistant", "checkpoint"],
    ["it does not fit", () => pairOf(`${GOLDEN}/e-style/assistant`), "assistant-refused", "pair"],
    ["it is a target", () => pairOf(`${EMBEDDED}/target`), "assistant-refused", "usage"],
    [
      "its weights are cut",
      () => {
        const target = pairOf(`${EMBEDDED}/assistant`);
        writeFileSync(join(target, "../assistant/model.safetensors"), "cut");
        return target;
      },
      "assistant-refused",
      "checkpoint",
    ],
    [
      "it is quantized by others",
      () => {
        const target = pairOf(`${EMBEDDED}/assistant`);
        changed(join(target, "../assistant/config.json"), (config) => {
          config.quantization_config = { quant_method: "gptq" };
        });
        return target;
      },
      "assistant-refused",
      "unsupported",
    ],
    [
      "its tokenizer names ids otherwise",
      () => {
        const target = pairOf(`${EMBEDDED}/assistant`);
        const file = join(target, "../assistant/tokenizer.json");
        writeFileSync(file, readFileSync(file, "utf8").replaceAll('"<bos>"', '"<start>"'));
        return target;
      },
      "assistant-refused",
      "pair",
    ],
  ];

  it.each(WRONG)(
    "where %s: an error, and with auto plain decoding with a warning",
    async (_, make, warning, code) => {
      const model = make();
      const { message } = await rejected(code, load({ offline: true, model, draft: "assistant" }));
      expect(await codesOf({ model, draft: "auto" })).toEqual({ codes: [warning], drafts: false });
      using pair = await load({ offline: true, model, draft: "auto" });
      expect(pair.warnings[0]?.message).toBe(`no drafting, this is plain decoding: ${message}`);
      await rejected("strict", load({ offline: true, model, draft: "auto", strict: true }));
    },
  );

  it("with auto takes the assistant that is there, without a warning", async () => {
    const model = pairOf(`${EMBEDDED}/assistant`);
    expect(await codesOf({ model, draft: "auto", strict: true })).toEqual({ codes: [], drafts: true });
    // Somebody who names nothing must not be told to have asked.
    expect(await codesOf({ model })).toEqual({ codes: [], drafts: false });
  });

  it("with auto does not pass over an interruption", async () => {
    const signal = AbortSignal.abort();
    await rejected("aborted", load({ offline: true, draft: "auto", signal }));
  });

  it("proposes in every round, or fails", async () => {
    const nothing = { propose: () => ({ distributions: [] }), [Symbol.dispose]() {} };
    const pair = fakePair(scriptedTarget(text), nothing);
    await rejected("native", run(pair, { promptIds, draftTokens: 2, maxTokens: 4 }));
    expect((await run(pair, { promptIds, draftTokens: 0, maxTokens: 4 })).tokenIds).toHaveLength(4);
  });
});

describe("a loaded pair", () => {
  it("that is the embedded one has no warning", async () => {
    expect(await codesOf({ draft: "assistant", strict: true })).toEqual({ codes: [], drafts: true });
  });

  it("not-exact: on a device whose blocks have other bits", async () => {
    vi.mocked(exactnessOf).mockResolvedValue("not exact");
    try {
      expect((await codesOf({ draft: "assistant" })).codes).toEqual(["not-exact"]);
      await rejected("strict", load({ draft: "assistant", strict: true }));
      expect((await codesOf({ draft: "assistant", strict: true, allow: ["not-exact"] })).drafts).toBe(true);
      const { signal } = new AbortController();
      (await load({ draft: "assistant", signal }))[Symbol.dispose]();
      expect(vi.mocked(exactnessOf).mock.lastCall?.[1]).toMatchObject({ signal });
    } finally {
      vi.mocked(exactnessOf).mockResolvedValue("by construction");
    }
  });

  it("packed-target, tokenizers-not-compared, no-tokenizer: each by its code", async () => {
    const model = `${GOLDEN}/quantized/target`;
    expect((await codesOf({ model, draft: "assistant" })).codes).toEqual([
      "packed-target",
      "tokenizers-not-compared",
      "no-tokenizer",
    ]);
    const { message } = await rejected(
      "strict",
      load({ model, draft: "assistant", strict: true, allow: ["no-tokenizer"] }),
    );
    expect(message).toMatch(/ found target and assistant fit, but .* \[packed-target\]; and the tokenizers /);
    expect(message).toMatch(/; mend it, or give --allow packed-target,tokenizers-not-compared$/);
  });

  it("no-chat-template, no-end-of-sequence and config-key: each by its code", async () => {
    const model = pairOf(undefined);
    const config = join(model, "config.json");
    changed(join(model, "tokenizer_config.json"), (json) => delete json.chat_template);
    rmSync(join(model, "chat_template.jinja"), { force: true });
    changed(join(model, "generation_config.json"), (json) => delete json.eos_token_id);
    changed(config, (json) => {
      Object.assign(json.text_config ?? json, { eos_token_id: null, flux_capacitor: 1.21 });
      json.eos_token_id = null;
    });
    using pair = await load({ model });
    expect(pair.warnings.map(({ code }) => code)).toEqual([
      "config-key",
      "no-end-of-sequence",
      "no-chat-template",
    ]);
    expect(pair.warnings.find(({ code }) => code === "config-key")?.message).toBe(
      `${config}: expected keys that are known, found flux_capacitor: ignored, what they ask for is not done`,
    );
  });

  it("refuses codes that there are not", async () => {
    const allow: string[] = ["packed"];
    // @ts-expect-error what a JavaScript caller may give
    await rejected("usage", load({ allow }));
  });
});

const PROMPT = 3;
const promptIds = Array.from({ length: PROMPT }, (_, i) => i);
/** The same drafter, five milliseconds late. */
function slow(drafter: Drafter): Drafter {
  return {
    ...drafter,
    propose(context) {
      if (context.steps > 0) for (const until = performance.now() + 5; performance.now() < until; );
      return drafter.propose(context);
    },
  };
}

const text: Script = (position) => (position * 7 + 3) % VOCAB;

describe("a generation", () => {
  it("context-full, draft-tokens-cut: where the positions end", async () => {
    const pair = () => fakePair(scriptedTarget(text, PROMPT + 7), scriptedDrafter(text));
    const { warnings, stopReason } = await run(pair(), { promptIds, draftTokens: 4 });
    expect(stopReason).toBe("context full");
    expect(warnings.map(({ code }) => code)).toEqual(["draft-tokens-cut", "context-full"]);
    expect(warnings[0]?.message).toMatch(/^at most 1 tokens are proposed from here on instead of 4/);
    const strict = { promptIds, draftTokens: 4, strict: true } as const;
    await rejected("strict", run(pair(), strict));
    const { message } = await rejected("strict", run(pair(), { ...strict, allow: ["draft-tokens-cut"] }));
    expect(message).toContain("[context-full]");
    const allow = ["draft-tokens-cut", "context-full"] as const;
    expect((await run(pair(), { ...strict, allow })).warnings).toEqual(warnings);
  });

  it("does not take the end of the answer for that of the context", async () => {
    const pair = fakePair(scriptedTarget(text, PROMPT + 7), scriptedDrafter(text));
    const { warnings, stopReason } = await run(pair, {
      promptIds,
      draftTokens: 4,
      maxTokens: 5,
      strict: true,
    });
    expect([warnings, stopReason]).toEqual([[], "max tokens"]);
    // Plain decoding has nothing to cut.
    const plain = await run(fakePair(scriptedTarget(text, PROMPT + 7)), { promptIds });
    expect(plain.warnings.map(({ code }) => code)).toEqual(["context-full"]);
  });
});

describe("auto", () => {
  const answer = (drafter: Drafter, options = {}) =>
    run(fakePair(scriptedTarget(text), drafter), {
      promptIds,
      draftTokens: "auto",
      maxTokens: 150,
      ...options,
    });
  /** Every draft is wrong and takes as long as many plain steps. */
  const dear = () => slow(scriptedDrafter((position) => (text(position) + 1) % VOCAB));

  it("drafting-does-not-pay: told after an answer that was long enough, and never an error", async () => {
    const { warnings, stats } = await answer(dear(), { strict: true });
    expect(warnings.map(({ code }) => code)).toEqual(["drafting-does-not-pay"]);
    const [plain = 0] = stats.roundsByDraftTokens;
    expect(warnings[0]?.message).toContain(`${plain} of ${stats.targetSteps} rounds were plain decoding`);
    expect(plain).toBeLessThan(stats.targetSteps);
    expect((await answer(dear(), { maxTokens: 20 })).warnings).toEqual([]);
    // Neither where it pays, nor where K was asked for.
    expect((await answer(scriptedDrafter(text))).warnings).toEqual([]);
    expect((await answer(dear(), { draftTokens: 1, maxTokens: 40 })).warnings).toEqual([]);
  });
});

describe("warnings", () => {
  it("are errors where somebody is strict, all in one line, but for those that are allowed", () => {
    const warnings = [
      { code: "packed-target", message: "one" },
      { code: "not-exact", message: "two" },
    ] as const;
    refuseWarnings(warnings, {});
    refuseWarnings(warnings, { strict: true, allow: ["packed-target", "not-exact"] });
    refuseWarnings([], { strict: true });
    expect(thrown("strict", () => refuseWarnings(warnings, { strict: true })).message).toBe(
      "--strict: expected no warning, found one [packed-target]; and two [not-exact]; mend it, or give --allow packed-target,not-exact",
    );
  });

  it("come once each", () => {
    const list = new WarningList({});
    list.add("context-full", "one");
    list.add("context-full", "two");
    expect(list.all).toEqual([{ code: "context-full", message: "one" }]);
  });

  it("have a row in docs/reliability.md each, with a test that names the code", () => {
    const page = readFileSync("docs/reliability.md", "utf8");
    const section = page.split("\n## Never silent\n")[1]?.split("\n## ")[0] ?? "";
    const rows = [...section.matchAll(/^\| `([a-z-]+)` \|.*\| `(test\/[\w./-]+)` \|$/gm)];
    expect(rows.map(([, code]) => code).sort()).toEqual([...WARNING_CODES].sort());
    for (const [, code = "", file = ""] of rows) {
      expect(readFileSync(file, "utf8"), `${file}, of ${code}`).toMatch(new RegExp(`\\b${code}\\b`));
    }
  });

  it("have no code in the sources that is none of them", () => {
    const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".ts"),
    );
    const used = new Set<string>();
    for (const path of sources) {
      if (path === "warnings.ts") continue;
      const source = readFileSync(join("src", path), "utf8");
      for (const code of WARNING_CODES) if (source.includes(`"${code}"`)) used.add(code);
    }
    // One that nothing gives any more has no place in the list.
    expect([...used].sort()).toEqual([...WARNING_CODES].sort());
  });
});
