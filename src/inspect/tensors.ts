import { MlxGemmaError } from "../errors.js";
import { sortedByName } from "./logical.js";
import type { Inspected } from "./open.js";
import type { TensorsView } from "./schema.js";

/** Every tensor of the files as it is stored. @throws MlxGemmaError `usage` for a pattern that fits none */
export function listTensors({ survey, facts }: Inspected, pattern: string | undefined): TensorsView {
  const names = sortedByName(survey.tensors.keys(), (name) => name);
  return {
    view: "tensors",
    checkpoint: facts,
    tensors: matching(names, pattern, (name) => name).flatMap((name) => {
      const info = survey.tensors.get(name);
      if (!info) return [];
      const { shape, dtype, bytes, shard, offset } = info;
      return [{ name, shape: [...shape], dtype, bytes, shard, offset }];
    }),
    absent: sortedByName(survey.absent.filter(matcher(pattern)), (name) => name),
  };
}

/** Those whose name fits a pattern. @throws MlxGemmaError `usage` when none does */
export function matching<T>(
  items: readonly T[],
  pattern: string | undefined,
  nameOf: (item: T) => string,
): T[] {
  const fits = matcher(pattern);
  const found = items.filter((item) => fits(nameOf(item)));
  if (found.length > 0 || pattern === undefined) return found;
  throw new MlxGemmaError(
    "usage",
    `--tensors: expected a pattern that fits one of the ${items.length} tensors, found ${JSON.stringify(pattern.slice(0, 60))}; ` +
      `*, ? and {a,b} stand for parts of a name, and the checkpoint goes before the option`,
  );
}

/** `*`: any text; `?`: one character; `{a,b}`: either. A pattern with none of them fits names that contain it. */
export function matcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  if (!/[*?{]/.test(pattern)) return (name) => name.includes(pattern);
  const source = pattern.replace(/\{([^{}]*)\}|[\s\S]/g, (part, choices: string | undefined) => {
    if (choices !== undefined) return `(?:${choices.split(",").map(translated).join("|")})`;
    return translated(part);
  });
  const expression = new RegExp(`^${source}$`, "s");
  return (name) => expression.test(name);
}

function translated(text: string): string {
  return text.replace(/[\s\S]/g, (c) =>
    c === "*" ? ".*" : c === "?" ? "." : c.replace(/[\\^$.|+()[\]{}]/, "\\$&"),
  );
}
