import { differences, pairRules, tokenizerWarnings } from "../checkpoint/pairing.js";
import { tokenizerDifference } from "../checkpoint/tokenizer-content.js";
import { MlxGemmaError } from "../errors.js";
import type { Warning } from "../warnings.js";
import { type Inspected, modelOf } from "./open.js";
import type { PairView } from "./schema.js";

type Rule = PairView["rules"][number];

/**
 * Every rule that a pair must keep, with both values.
 *
 * @throws MlxGemmaError `usage` when the roles are the other way round, and what is wrong with either's config
 */
export function comparePair(target: Inspected, assistant: Inspected): PairView {
  const [theirs, ours] = [modelOf(target), modelOf(assistant)];
  if (theirs.kind !== "target" || ours.kind !== "assistant") {
    throw new MlxGemmaError(
      "usage",
      `--pair: expected a target and its assistant, found ${theirs.kind} ${target.facts.name} and ${ours.kind} ${assistant.facts.name}; the target goes first: mlx-gemma inspect-weights TARGET --pair ASSISTANT`,
    );
  }
  const tokenizers = tokenizerRule(target, assistant);
  const rules = [...pairRules(theirs.config, ours.config), tokenizers.rule].filter(
    (rule) => rule !== undefined,
  );
  const named = (inspected: Inspected) => inspected.facts.name;
  return {
    view: "pair",
    checkpoint: target.facts,
    assistant: assistant.facts,
    fits: rules.every(({ fits }) => fits),
    rules,
    warnings: [
      ...[target, assistant].flatMap(({ model }) => model?.warnings ?? []),
      ...differences(
        { folder: named(target), config: theirs.config },
        { folder: named(assistant), config: ours.config },
      ),
      ...tokenizers.warnings,
    ],
  };
}

function tokenizerRule(
  target: Inspected,
  assistant: Inspected,
): { readonly rule?: Rule; readonly warnings: Warning[] } {
  const [theirs, ours] = [target.facts.folder, assistant.facts.folder];
  if (theirs === null || ours === null) {
    return { warnings: tokenizerWarnings("that would download them; pull both first") };
  }
  const { mismatch, renamed, notCompared } = tokenizerDifference(theirs, ours);
  if (notCompared !== undefined) return { warnings: tokenizerWarnings(notCompared) };
  const side = (which: "target" | "assistant") =>
    mismatch ? `id ${mismatch.id} is ${mismatch[which]}` : "the same ids";
  const rule = {
    what: "tokenizers",
    target: side("target"),
    assistant: side("assistant"),
    key: "tokenizer.json",
  };
  return { rule: { ...rule, fits: mismatch === undefined }, warnings: tokenizerWarnings(renamed) };
}
