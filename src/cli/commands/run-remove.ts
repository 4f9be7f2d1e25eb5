import { createInterface } from "node:readline/promises";
import { cacheFolder, describeRepo, parseRepoId, removeCached } from "../../checkpoint/hub/index.js";
import { MlxGemmaError } from "../../errors.js";
import { size } from "../../units.js";
import { EXIT_CODES } from "../exit-codes.js";
import { writeJson } from "../stdout.js";
import type { RemoveFlags } from "./models.js";

/** Runs `mlx-gemma models rm`. */
export async function runRemove(repository: string, flags: RemoveFlags): Promise<void> {
  const ref = parseRepoId(repository);
  if (!ref) {
    throw new MlxGemmaError(
      "usage",
      `expected a repository such as google/gemma-4-E2B-it, found ${JSON.stringify(repository)}`,
    );
  }
  const removal = await removeCached(cacheFolder(), ref.id, ref.revision);
  const what = `${ref.revision === undefined ? ref.id : `${ref.id}@${ref.revision}`} (${size(removal.bytes)})`;
  const told = { id: ref.id, revision: ref.revision ?? null, bytes: removal.bytes };
  if (!flags.yes) {
    if (!process.stdin.isTTY || !process.stderr.isTTY) {
      throw new MlxGemmaError(
        "usage",
        `${describeRepo(ref)}: expected --yes, as there is no terminal to ask on; nothing was removed`,
      );
    }
    const answer = await ask(`Remove ${what} from the cache? Python tools use it too. [y/N] `);
    if (answer === undefined) {
      process.exitCode = EXIT_CODES.aborted;
      return;
    }
    if (!/^y(?:es)?$/i.test(answer.trim())) {
      process.stderr.write("mlx-gemma: nothing was removed\n");
      if (flags.json) await writeJson<"models rm">({ ...told, removed: false });
      return;
    }
  }
  await removal.run();
  if (flags.json) await writeJson<"models rm">({ ...told, removed: true });
  else if (!flags.quiet) process.stderr.write(`mlx-gemma: removed ${what}\n`);
}

/** Asks on the terminal. @returns undefined for Ctrl-C, "" for the end of the input */
async function ask(question: string): Promise<string | undefined> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<string | undefined>((resolve, reject) => {
      terminal.once("SIGINT", () => {
        process.stderr.write("\n");
        resolve(undefined);
      });
      terminal.once("close", () => resolve(""));
      terminal.question(question).then(resolve, reject);
    });
  } finally {
    terminal.close();
  }
}
