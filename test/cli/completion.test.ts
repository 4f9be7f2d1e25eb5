import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, it } from "vitest";
import { mlxGemma, ROOT } from "./helpers.js";

const NO_BASH = spawnSync("bash", ["--version"]).status === 0 ? undefined : "skipped: no bash";

describe.skipIf(NO_BASH)(`mlx-gemma completion bash ${NO_BASH ?? ""}`, () => {
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
    const commands = [...stdout.matchAll(/^ {2}([a-z][a-z-]+) (?!.*exit code)/gm)].map(([, name]) => name);
    expect(offered("")).toEqual(commands.filter((name) => name !== "help"));
    const help = (await mlxGemma(["quantize", "--help"])).stdout;
    const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name);
    expect(offered("quantize", "--").sort()).toEqual(options.sort());
  });
});

describe("mlx-gemma completion", () => {
  it.each([
    ["zsh", ["#compdef mlx-gemma", "--draft-tokens[", "'models rm')", "(bf16 f16 f32)"]],
    ["fish", ["-l draft-tokens -r", "-a 'bf16 f16 f32'", "__fish_seen_subcommand_from rm"]],
  ])("%s names commands, options and values", async (shell, parts) => {
    const { code, stdout } = await mlxGemma(["completion", shell]);
    expect(code).toBe(0);
    for (const part of parts) expect(stdout).toContain(part);
  });

  it("of another shell is told", async () => {
    const { code, stdout, stderr } = await mlxGemma(["completion", "tcsh"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^mlx-gemma: [^\n]*Allowed choices are bash, zsh, fish[^\n]*\n$/);
  });
});
