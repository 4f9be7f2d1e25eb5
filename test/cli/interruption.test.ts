import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FOX, generate, NO_TERMINAL, onTerminal } from "./helpers.js";

const ENDLESS = ["--draft", "assistant", "--draft-tokens", "3", "--ignore-eos", "-n", "30000"];
const ids = (count: number) => Array.from({ length: count }, (_, index) => 300 + (index % 3000)).join(",");
const LONG_IDS = ids(20_000);
const CTRL_C = "\u0003";

describe("signals", () => {
  it.each<[NodeJS.Signals, number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])("%s ends after a round with what there is", async (signal, code) => {
    const outcome = await generate([...ENDLESS, "--stats", FOX], { kill: { after: "forest", signal } });
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toMatch(/forest[\s\S]*\n$/);
    expect(outcome.stderr).toMatch(/^\d+ tokens, interrupted · /);
  });
});

describe.skipIf(NO_TERMINAL)(`Ctrl-C on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "mlx-gemma-cli-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("gives what there is, its statistics and the cursor", async () => {
    const { code, output, text } = await onTerminal([...ENDLESS, FOX], {
      keys: [{ after: "forest", send: CTRL_C }],
    });
    expect(code).toBe(130);
    expect(text).toMatch(/\n\d+ tokens, interrupted · [\d.]+ tok\/s/);
    expect(cursorIsShown(output)).toBe(true);
  });

  it("ends the reading of a prompt", async () => {
    const { code, output, text } = await onTerminal(["--prompt-ids", LONG_IDS, "--chunk-size", "32"], {
      keys: [{ after: " of 20000 tokens", send: CTRL_C }],
    });
    expect(code).toBe(130);
    expect(text).toMatch(/interrupted before the first token\n$/);
    expect(cursorIsShown(output)).toBe(true);
  });

  it("ends the loading, quietly", async () => {
    const { code, output, text } = await onTerminal([FOX], { keys: [{ after: "loading", send: CTRL_C }] });
    expect(code).toBe(130);
    expect(text).not.toContain("\n");
    expect(cursorIsShown(output)).toBe(true);
  });

  it("prints the whole of --json", async () => {
    const file = join(folder, "answer.json");
    const keys = [{ after: "writing, ", send: CTRL_C }];
    expect(await onTerminal([...ENDLESS, "--json", FOX], { stdout: file, keys })).toMatchObject({
      code: 130,
    });
    const { stopReason, tokenIds, stats, text } = JSON.parse(readFileSync(file, "utf8"));
    expect(stopReason).toBe("aborted");
    expect(tokenIds).toHaveLength(stats.tokens);
    expect(text).toContain("forest");
  });

  it("is one when it comes twice in a moment, as under npx", async () => {
    const { code, text } = await onTerminal(["--prompt-ids", ids(8000), "--chunk-size", "30000"], {
      keys: [
        { after: "reading the prompt", send: CTRL_C },
        { after: "^C", send: CTRL_C, wait: 0.05 },
      ],
    });
    expect(code).toBe(130);
    expect(text).toMatch(/\n\d+ tokens?, interrupted|interrupted before the first token/);
  });

  it("kills at once when it comes again", async () => {
    const started = performance.now();
    const { code, output } = await onTerminal(["--prompt-ids", LONG_IDS, "--chunk-size", "30000"], {
      keys: [
        { after: "reading the prompt", send: CTRL_C },
        { after: "^C", send: CTRL_C, wait: 0.5 },
      ],
    });
    expect(code).toBe(-2);
    expect(cursorIsShown(output)).toBe(true);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

function cursorIsShown(output: string): boolean {
  return output.lastIndexOf("\u001b[?25h") >= output.lastIndexOf("\u001b[?25l");
}
