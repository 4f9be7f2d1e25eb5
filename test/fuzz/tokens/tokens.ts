import { join } from "node:path";
import type { Drafter } from "../../../src/drafter/drafter.js";
import { type LoadedPair, load } from "../../../src/load.js";
import { DTYPES, type DtypeName, MAX_DRAFT_TOKENS } from "../../../src/options.js";
import { quantize } from "../../../src/quantize/quantize.js";
import { firstDifference, run } from "../../support/generation.js";
import { heldOutPrompts } from "../../support/held-out.js";
import { randoms } from "../../target/helpers.js";
import { PACKING_NAMES, PACKINGS, type PackingName } from "../generation/configuration.js";
import { oracleDrafter } from "../generation/oracle-drafter.js";

/** Of a hundred of the oracle's drafts so many are wrong. */
const NOISE = 20;

export interface Folders {
  readonly target: string;
  readonly assistant: string;
}

export interface TokensOptions extends Folders {
  /** Work folder for packed copies; the caller removes it. */
  readonly work: string;
  readonly prompts: number;
  /** Of each answer. */
  readonly tokens: number;
  /** `text`: the held-out prompts and their continuations; `random`: ids alone, and every other draft an oracle's. */
  readonly kind: "text" | "random";
  /** Default: all. */
  readonly packings?: readonly PackingName[];
  readonly onPrompt?: (done: number) => void;
}

/** How a share of the prompts was run. */
export interface SettingRow {
  readonly packing: PackingName;
  readonly dtype: DtypeName;
  readonly prompts: number;
  readonly tokens: number;
  readonly proposed: number;
  readonly accepted: number;
  /** A line each. */
  readonly differing: readonly string[];
}

/**
 * Long drafted answers against plain ones, token by token. Prompts take turns with the settings: every packing in every
 * dtype, K from 1 to 15.
 */
export async function compareTokens(options: TokensOptions): Promise<SettingRow[]> {
  const rows: SettingRow[] = [];
  const { packings = PACKING_NAMES } = options;
  const settings = packings.flatMap((packing) => DTYPES.map((dtype) => ({ packing, dtype })));
  let done = 0;
  let folders: Folders = options;
  let prompts: number[][] | undefined;
  for (const [index, { packing, dtype }] of settings.entries()) {
    if (packing !== settings[index - 1]?.packing) folders = await packed(options, packing);
    // One thread: a busy machine makes two wait for each other.
    using pair = await load({ model: folders.target, draft: folders.assistant, dtype, threads: 1 });
    prompts ??= await promptsOf(pair, options);
    const row = { packing, dtype, prompts: 0, tokens: 0, proposed: 0, accepted: 0 };
    const differing: string[] = [];
    for (let prompt = index; prompt < prompts.length; prompt += settings.length) {
      const promptIds = prompts[prompt] ?? [];
      const limits = { promptIds, maxTokens: options.tokens, ignoreEos: true };
      const plain = await run(pair, { ...limits, draftTokens: 0 });
      const draftTokens = 1 + (prompt % MAX_DRAFT_TOKENS);
      const oracle = options.kind === "random" && row.prompts % 2 === 1;
      const drafting = oracle ? { ...pair, drafter: oracleOf(pair, promptIds, plain.tokenIds) } : pair;
      const drafted = await run(drafting, { ...limits, draftTokens, chunkSize: 1 + (prompt % 97) });
      const difference = firstDifference(drafted.tokenIds, plain.tokenIds);
      if (difference)
        differing.push(`${packing} ${dtype}, prompt ${prompt}, K = ${draftTokens}: ${difference}`);
      row.prompts += 1;
      row.tokens += drafted.tokenIds.length;
      row.proposed += drafted.stats.proposed;
      row.accepted += drafted.stats.accepted;
      done += 1;
      options.onPrompt?.(done);
    }
    rows.push({ ...row, differing });
  }
  return rows;
}

async function packed({ target, assistant, work }: TokensOptions, packing: PackingName): Promise<Folders> {
  const how = PACKINGS[packing];
  if (!how) return { target, assistant };
  const parts = { target, assistant };
  for (const part of ["target", "assistant"] as const) {
    const output = join(work, packing.replace(" ", "-"), part);
    const { mode, bits, groupSize } = how;
    await quantize({ model: parts[part], output, mode, ...(mode === "affine" ? { bits, groupSize } : {}) });
    parts[part] = output;
  }
  return parts;
}

async function promptsOf(pair: LoadedPair, { kind, prompts }: TokensOptions): Promise<number[][]> {
  const known =
    kind === "text" ? await Promise.all(heldOutPrompts().map((text) => pair.encodePrompt(text))) : [];
  const random = randoms(prompts);
  return Array.from({ length: prompts }, (_, index) => {
    const ids = known[index % Math.max(1, known.length)];
    const strange = (count: number) =>
      Array.from({ length: count }, () => 2 + random(pair.target.vocabSize - 2));
    if (!ids) return strange(1 + random(200));
    // Each prompt as it is once; then with foreign words before its end.
    const rounds = Math.floor(index / known.length);
    return rounds === 0 ? ids : [...ids.slice(0, -3), ...strange(rounds), ...ids.slice(-3)];
  });
}

function oracleOf({ target }: LoadedPair, promptIds: readonly number[], ids: readonly number[]): Drafter {
  return oracleDrafter({
    promptLength: promptIds.length,
    ids,
    vocab: target.vocabSize,
    wrong: (position) => randoms(Math.imul(position, 0x9e3779b1))(100) < NOISE,
  });
}
