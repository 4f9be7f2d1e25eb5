import { type GenerationEvent, generate } from "../../src/generate.js";
import type { LoadedPair } from "../../src/load.js";
import type { GenerateOptions } from "../../src/options.js";

export type EndEvent = Extract<GenerationEvent, { readonly type: "end" }>;

/** Runs a generation to its end. */
export async function run(pair: LoadedPair, options: GenerateOptions): Promise<EndEvent> {
  const { end } = await record(pair, options);
  return end;
}

/** Runs a generation and keeps the ids of each `tokens` event beside the end. */
export async function record(
  pair: LoadedPair,
  options: GenerateOptions,
): Promise<{ readonly steps: readonly (readonly number[])[]; readonly end: EndEvent }> {
  const steps: (readonly number[])[] = [];
  let end: EndEvent | undefined;
  for await (const event of generate(pair, options)) {
    if (event.type === "tokens" && event.ids.length > 0) steps.push(event.ids);
    if (event.type === "end") end = event;
  }
  if (!end) throw new Error("the generation had no end event");
  return { steps, end };
}

/** The first place where two texts differ, with what stands there; undefined when they are the same. */
export function firstDifference(found: readonly number[], expected: readonly number[]): string | undefined {
  const length = Math.max(found.length, expected.length);
  for (let i = 0; i < length; i++) {
    if (found[i] !== expected[i]) return `token ${i}: ${found[i]} instead of ${expected[i]}`;
  }
  return undefined;
}
