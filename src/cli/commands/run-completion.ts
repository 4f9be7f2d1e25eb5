import { bashCompletion } from "../completion/bash.js";
import { fishCompletion } from "../completion/fish.js";
import { shellCommands } from "../completion/tree.js";
import { zshCompletion } from "../completion/zsh.js";
import { makeProgram } from "../program.js";
import { write, writeJson } from "../stdout.js";
import type { CompletionFlags } from "./completion.js";

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Runs `mlx-gemma completion`. */
export async function runCompletion(shell: keyof typeof SCRIPTS, { json }: CompletionFlags): Promise<void> {
  const script = SCRIPTS[shell](shellCommands(makeProgram()));
  if (json) await writeJson<"completion">({ shell, script });
  else await write(script);
}
