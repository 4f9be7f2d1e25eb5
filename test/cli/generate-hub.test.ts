import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EMBEDDED, FOX, generate, mlxGemma, NO_TERMINAL, onTerminal } from "./helpers.js";
import { hubFixture, TOKEN } from "./hub-fixture.js";

const ID = "google/gemma-4-E2B-it";
const ASSISTANT = `${ID}-assistant`;
const fix = hubFixture();

/** The embedded pair, on the hub. */
function publish(): void {
  const files = (kind: string) =>
    Object.fromEntries(
      readdirSync(join(EMBEDDED, kind))
        .filter((name) => !name.endsWith(".md"))
        .map((name) => [name, readFileSync(join(EMBEDDED, kind, name))]),
    );
  fix.hub.add(ID, files("target"));
  fix.hub.add(ID, files("target"), "dev");
  fix.hub.add(ASSISTANT, files("assistant"));
}

const SHORT = ["-n", "24", FOX];
const answer = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  generate([...args, ...SHORT], { env: { ...fix.env, ...env } });

describe("generate --model org/name", () => {
  it("downloads the pair, then runs from the cache; the text is the embedded pair's", async () => {
    publish();
    const { stdout: expected } = await generate(SHORT);
    const first = await answer(["--model", ID, "--draft", "assistant"]);
    expect(first).toMatchObject({ code: 0, stdout: expected });
    expect(first.stderr).toContain(`mlx-gemma: downloading ${ID}: `);
    expect(first.stderr).toContain("mlx-gemma: model.safetensors, 22.9 MB\n");
    expect(first.stderr).not.toContain(TOKEN);
    fix.hub.seen.length = 0;
    const again = await answer(["--model", ID, "--draft", "assistant", "--offline"]);
    expect(again).toMatchObject({ code: 0, stdout: expected });
    expect(fix.hub.seen).toEqual([]);
  });

  it("takes both by name, at a revision", async () => {
    publish();
    const { code, stderr } = await answer(["-m", ID, "--revision", "dev", "--draft", ASSISTANT, "--stats"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/of drafts accepted/);
    expect(readdirSync(join(fix.cache, "models--google--gemma-4-E2B-it", "refs"))).toEqual(["dev"]);
  });

  it.each<[string, string[], Record<string, string>, number, RegExp]>([
    [
      "--offline",
      ["-m", ID, "--offline"],
      {},
      9,
      /gemma-4-E2B-it: expected it whole in the cache .* the option offline forbids .*; run mlx-gemma pull/,
    ],
    [
      "HF_HUB_OFFLINE",
      ["-m", ID],
      { HF_HUB_OFFLINE: "1" },
      9,
      /HF_HUB_OFFLINE forbids the network, found nothing; run mlx-gemma pull/,
    ],
    ["a repository that is not there", ["-m", "org/none"], {}, 9, /org\/none: expected a repository at/],
    ["a revision that is not there", ["-m", `${ID}@v9`], {}, 9, /@v9: expected the revision v9, found none/],
    [
      "--revision of the embedded pair",
      ["--revision", "main"],
      {},
      2,
      /--revision: expected a repository of the hub as --model, found none/,
    ],
    [
      "--revision of a folder",
      ["-m", `${EMBEDDED}/target`, "--revision", "main"],
      {},
      2,
      /found a folder; give org\/name/,
    ],
  ])("%s is one line", async (_, args, env, code, line) => {
    publish();
    const outcome = await answer(args, env);
    expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
    expect(outcome.stderr).toMatch(line);
    expect(outcome).toMatchObject({ code, stdout: "" });
  });
});

describe.skipIf(NO_TERMINAL)(`on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  it("shows the download's bar before the answer", async () => {
    publish();
    const { code, text } = await onTerminal(["-m", ID, ...SHORT], { columns: 100, env: fix.env });
    const { stdout } = await mlxGemma(["generate", ...SHORT]);
    expect(code).toBe(0);
    expect(text).toMatch(/google\/gemma-4-E2B-it {2}[█░]{20} {2}\d+% {2}[\d.]+ [kMG]?B of [\d.]+ MB/);
    expect(text).toContain(stdout);
  });
});
