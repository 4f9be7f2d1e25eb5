import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tokenizer } from "../../src/text/tokenizer.js";
import { openTokenizer } from "../../src/text/tokenizer.js";
import { temporaryFolder, writeJson } from "../checkpoint/helpers.js";
import { GEMMA, tokenizerJson } from "./tiny-tokenizer.js";

export { bytesOf, DECODERS, idOf, tokenizerJson, VOCAB_SIZE } from "./tiny-tokenizer.js";

/** A folder with a tiny tokenizer. */
export function tokenizerFolder(decoder: unknown, config?: unknown): string {
  const folder = temporaryFolder();
  writeJson(folder, "tokenizer.json", tokenizerJson(decoder));
  if (config !== undefined) writeJson(folder, "tokenizer_config.json", config);
  return folder;
}

export async function tinyTokenizer(decoder: unknown = GEMMA, config?: unknown): Promise<Tokenizer> {
  const tokenizer = await openTokenizer(tokenizerFolder(decoder, config));
  if (!tokenizer) throw new Error("the folder has a tokenizer");
  return tokenizer;
}

export function writeTemplate(folder: string, template: string): void {
  writeFileSync(join(folder, "chat_template.jinja"), template);
}
