import { readFileSync } from "node:fs";
import type { LoadedPair } from "../../src/load.js";

const FILE = new URL("../../training/eval/prompts-chat.json", import.meta.url);

/** Chat prompts that were kept out of the embedded pair's training data. */
export function heldOutPrompts(): string[] {
  const entries: readonly { readonly prompt: string }[] = JSON.parse(readFileSync(FILE, "utf8"));
  return entries.map(({ prompt }) => prompt);
}

/** Their token ids, in the chat template. */
export async function heldOutIds(pair: LoadedPair): Promise<number[][]> {
  return Promise.all(heldOutPrompts().map((prompt) => pair.encodePrompt(prompt)));
}
