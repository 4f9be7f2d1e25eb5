import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { load } from "../../../src/load.js";
import { run } from "../../support/generation.js";
import { type Configuration, chunkSizeOf, configurations } from "./configuration.js";
import { Reference } from "./reference/check.js";
import { promptOf } from "./trial.js";
import { writePair } from "./write-pair.js";

/** What another implementation shall write, too: a pair on disk in the form that all read, and our plain answer. */
export interface PlainOnDisk {
  readonly configuration: Configuration;
  readonly folder: string;
  readonly promptIds: readonly number[];
  readonly tokenIds: readonly number[];
  /** How far below the best token one is at a place of the answer, in float64; 0 where experts tied before it. */
  readonly behind: (place: number, id: number) => number;
}

/** Case `index` of a seed, as a plain greedy float32 run of a text-only checkpoint, written into `folder`. */
export async function plainOnDisk(seed: number, index: number, folder: string): Promise<PlainOnDisk> {
  const [drawn] = fc.sample(configurations, { numRuns: 1, seed: seed + index });
  if (!drawn) throw new Error("nothing was drawn");
  const configuration: Configuration = {
    model: { ...drawn.model, packaging: "text", packing: "plain" },
    run: { ...drawn.run, dtype: "f32", end: "max tokens", sampling: "greedy" },
  };
  const written = writePair(configuration, folder);
  const config = join(written.target.folder, "config.json");
  // transformers takes no whole number where it expects a float.
  const text = readFileSync(config, "utf8");
  writeFileSync(config, text.replace(/"(final_logit_softcapping|rope_theta)":(\d+)(?=[,}])/g, '"$1":$2.0'));
  using pair = await load({ model: written.target.folder, dtype: "f32" });
  const promptIds = promptOf(configuration);
  const { tokenIds } = await run(pair, {
    promptIds,
    maxTokens: configuration.run.maxTokens,
    chunkSize: chunkSizeOf(configuration),
    ignoreEos: true,
  });
  return {
    configuration,
    folder: written.target.folder,
    promptIds,
    tokenIds,
    behind(place, id) {
      const reference = new Reference(configuration, written, promptIds, tokenIds);
      return promptIds.length - 1 + place < reference.certain ? reference.behind(place, id).margin : 0;
    },
  };
}
