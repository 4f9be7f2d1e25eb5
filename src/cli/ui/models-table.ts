import type { ChalkInstance } from "chalk";
import { size } from "../../units.js";
import type { ListedModel, Models } from "../commands/run-models.js";
import { columnsTable } from "./columns.js";
import { withShortHome } from "./home.js";
import { wrapWords } from "./wrap.js";

/** `mlx-gemma models` for people. */
export function modelsTables(models: Models, chalk: ChalkInstance, columns: number): string {
  const cached = models.cached.map((model) => [
    model.id,
    model.revisions.join(", ") || model.commit.slice(0, 12),
    size(model.bytes),
    model.kind,
    model.format ?? "",
    remark(model),
  ]);
  const embedded = models.embedded.map(({ kind, bytes }) => ["tiny-gemma4", size(bytes), kind]);
  const known = models.known.map(({ target, parameters, bytes, memory }) => [
    target,
    `${(parameters / 1e9).toFixed(1)} B`,
    `${size(bytes.bf16)} / ${size(bytes.fourBit)}`,
    `${size(memory.bf16)} / ${size(memory.fourBit)}`,
  ]);
  const context = models.known[0]?.memory.context ?? 0;
  const table = ([first = "", ...others]: readonly string[], rows: readonly (readonly string[])[]) =>
    columnsTable([{ head: first, whole: true }, ...others.map((head) => ({ head }))], rows, {
      chalk,
      columns,
    });
  return [
    chalk.bold(`In the cache, ${withShortHome(models.cache)}`),
    models.cached.length > 0
      ? table(["repository", "revision", "size", "kind", "weights", ""], cached)
      : "no Gemma 4; mlx-gemma pull google/gemma-4-E2B-it --draft assistant brings one",
    "",
    chalk.bold("With the package (used without --model)"),
    table(["pair", "size", "kind"], embedded),
    "",
    chalk.bold("Published, each with its assistant (the same name with -assistant)"),
    table(["repository", "parameters", "weights, bf16 / 4 bit", "memory, bf16 / 4 bit"], known),
    ...wrapWords(
      `Of the text model; a download brings the vision and sound parts too. Memory: weights, and keys and values of ${context} tokens.`,
      columns,
    ).map((line) => chalk.dim(line)),
  ].join("\n");
}

function remark({ kind, assistant, missing }: ListedModel): string {
  if (missing.length > 0) return `incomplete (${missing[0]}${missing.length > 1 ? " …" : ""}): pull it again`;
  if (kind === "assistant") return "";
  return assistant === null ? "its assistant is not there" : `assistant: ${assistant}`;
}
