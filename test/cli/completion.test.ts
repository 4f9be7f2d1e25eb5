import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { mlxGemma, ROOT } from "./helpers.js";

function missing(shell: string, args: readonly string[]): string | undefined {
  return spawnSync(shell, args).status === 0 ? undefined : `skipped: no ${shell}`;
}

function lines(text: string): string[] {
  return [...new Set(text.split("\n"))].filter((line) => line !== "").sort();
}

/** A file with the script, as a shell's start-up file would read it. */
async function scriptFor(shell: string): Promise<string> {
  const { code, stdout, stderr } = await mlxGemma(["completion", shell]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const file = join(temporaryFolder(), "completion");
  writeFileSync(file, stdout);
  return file;
}

/** A line up to the cursor, and what a shell offers there. */
const WORDS: readonly (readonly [string, readonly string[]])[] = [
  ["mlx-gemma gen", ["generate"]],
  ["mlx-gemma generate --dty", ["--dtype"]],
  ["mlx-gemma generate --quiet --draft", ["--draft", "--draft-tokens"]],
  ["mlx-gemma generate --dtype ", ["bf16", "f16", "f32"]],
  ["mlx-gemma generate --max-tokens ", []],
  ["mlx-gemma bench -o js", ["json", "jsonl"]],
  ["mlx-gemma generate --model mod", ["models"]],
  ["mlx-gemma inspect-weights mod", ["models"]],
  ["mlx-gemma models rm --y", ["--yes"]],
  ["mlx-gemma completion ", ["bash", "fish", "zsh"]],
];

const NO_BASH = missing("bash", ["--version"]);

describe.skipIf(NO_BASH)(`mlx-gemma completion bash${NO_BASH ? ` (${NO_BASH})` : ""}`, () => {
  let script: string;
  beforeAll(async () => {
    const { code, stdout, stderr } = await mlxGemma(["completion", "bash"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    script = stdout;
  });

  /** What bash offers for the last of these words. */
  function offered(...words: string[]): string[] {
    const call = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mlx_gemma; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { status, stdout, stderr } = spawnSync(
      "bash",
      ["--norc", "-c", `${script}\n${call}`, "bash", "mlx-gemma", ...words],
      { cwd: ROOT, encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.split("\n").filter((line) => line !== "");
  }

  it.each<[string[], string[]]>([
    [["gen"], ["generate"]],
    [["--v"], ["--version"]],
    [
      ["generate", "--draft"],
      ["--draft", "--draft-tokens"],
    ],
    [["generate", "--quiet", "--dty"], ["--dtype"]],
    [
      ["generate", "--dtype", ""],
      ["bf16", "f16", "f32"],
    ],
    [
      ["generate", "--dtype", "="],
      ["bf16", "f16", "f32"],
    ],
    [["generate", "--dtype", "=", "bf"], ["bf16"]],
    [
      ["bench", "-o", "json"],
      ["json", "jsonl"],
    ],
    [["generate", "--model", "mod"], ["models"]],
    [["generate", "-m", "mod"], ["models"]],
    [["generate", "--max-tokens", ""], []],
    [["generate", "mod"], []],
    [["inspect-weights", "mod"], ["models"]],
    [["models", ""], ["rm"]],
    [["models", "rm", "--y"], ["--yes"]],
    [["generate", "models", "rm", "--y"], []],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
  ])("%j", (words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });

  it("offers every command and, of a command, every option", async () => {
    const { stdout } = await mlxGemma(["--help"]);
    const [, list = ""] = /^Commands:\n(.*?)\n\n/ms.exec(stdout) ?? [];
    const commands = [...list.matchAll(/^ {2}([a-z][a-z-]+) /gm)].map(([, name]) => name);
    expect(offered("")).toEqual(commands.filter((name) => name !== "help"));
    const help = (await mlxGemma(["quantize", "--help"])).stdout;
    const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name);
    expect(offered("quantize", "--").sort()).toEqual(options.sort());
  });
});

const NO_ZSH = missing("zsh", ["-fc", "zmodload zsh/zpty"]);

describe.skipIf(NO_ZSH)(`mlx-gemma completion zsh${NO_ZSH ? ` (${NO_ZSH})` : ""}`, () => {
  it.each(WORDS)("%s", async (line, expected) => {
    const file = await scriptFor("zsh");
    const { status, stdout } = spawnSync("zsh", ["-f", `${ROOT}test/cli/completion.zsh`, file, line], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(status).toBe(0);
    expect(lines(stdout)).toEqual([...expected].sort());
  });
});

const NO_FISH = missing("fish", ["--no-config", "-c", "complete -C ls"]);

describe.skipIf(NO_FISH)(`mlx-gemma completion fish${NO_FISH ? ` (${NO_FISH})` : ""}`, () => {
  it.each(WORDS)("%s", async (line, expected) => {
    const file = await scriptFor("fish");
    const { status, stdout } = spawnSync(
      "fish",
      ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, line],
      { cwd: ROOT, encoding: "utf8" },
    );
    expect(status).toBe(0);
    // Each with its description behind a tab, and folders with a slash.
    expect(lines(stdout.replaceAll(/\/?(\t.*)?$/gm, ""))).toEqual([...expected].sort());
  });
});

describe("mlx-gemma completion", () => {
  it("of another shell is told", async () => {
    const { code, stdout, stderr } = await mlxGemma(["completion", "tcsh"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe('mlx-gemma: completion: expected bash, zsh or fish, found "tcsh"\n');
  });
});
