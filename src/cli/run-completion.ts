import { write } from "./answer.js";
import { bashCompletion } from "./completion/bash.js";
import { fishCompletion } from "./completion/fish.js";
import { shellCommands } from "./completion/tree.js";
import { zshCompletion } from "./completion/zsh.js";
import { makeProgram } from "./program.js";

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Runs `mlx-gemma completion`. */
export async function runCompletion(shell: keyof typeof SCRIPTS): Promise<void> {
  await write(SCRIPTS[shell](shellCommands(makeProgram())));
}
