import { readdirSync, statSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { INDEX } from "../checkpoint/file-names.js";
import { MANIFEST } from "./output-folder.js";

/** A file that goes with the weights as it is: tokenizer, chat template, generation and processor configs, licence. */
export interface Companion {
  readonly name: string;
  readonly bytes: number;
}

const KEPT = /^[^.].*\.(json|jinja|txt|model)$|^(LICENSE|LICENCE|NOTICE)(\.\w+)?$/i;
const MADE = new Set(["config.json", INDEX, MANIFEST]);

/** The files of a folder that its quantized form needs too. Programs (`*.py`), cards and weights are not among them. */
export function companionsOf(folder: string): Companion[] {
  return readdirSync(folder)
    .filter((name) => KEPT.test(name) && !MADE.has(name))
    .flatMap((name) => {
      const stats = statSync(join(folder, name), { throwIfNoEntry: false });
      return stats?.isFile() ? [{ name, bytes: stats.size }] : [];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function copyCompanions(
  companions: readonly Companion[],
  from: string,
  to: string,
): Promise<void> {
  for (const { name } of companions) await copyFile(join(from, name), join(to, name));
}
