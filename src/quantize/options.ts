import { MlxGemmaError } from "../errors.js";
import type { NativeQuantization, QuantizationMode } from "../mlx/native.js";
import type { DtypeName } from "../options.js";

/** How to pack weights, MLX's names. `affine` has a bias for each group; the others have one format each. */
export const MODES = ["affine", "mxfp4", "mxfp8", "nvfp4"] as const satisfies readonly QuantizationMode[];
export const BITS = [2, 3, 4, 5, 6, 8] as const;
export const GROUP_SIZES = [32, 64, 128] as const;

/** What each mode takes when nothing is said; modes but `affine` take nothing else. */
export const MODE_DEFAULTS: Readonly<
  Record<QuantizationMode, { readonly bits: number; readonly groupSize: number }>
> = {
  affine: { bits: 4, groupSize: 64 },
  mxfp4: { bits: 4, groupSize: 32 },
  mxfp8: { bits: 8, groupSize: 32 },
  nvfp4: { bits: 4, groupSize: 16 },
};

/** Recipes of mixed bits, by the names of mlx-lm and mlx-vlm: [most modules, the sensitive ones]. */
export const RECIPES = {
  mixed_2_6: [2, 6],
  mixed_3_4: [3, 4],
  mixed_3_5: [3, 5],
  mixed_3_6: [3, 6],
  mixed_3_8: [3, 8],
  mixed_4_6: [4, 6],
  mixed_4_8: [4, 8],
} as const;
export type RecipeName = keyof typeof RECIPES;

export const RECIPE_NAMES = Object.keys(RECIPES);

/** What to make of a checkpoint. Every key but the folders may be absent or undefined. */
export interface QuantizeOptions {
  /** Folder of a target or an assistant; default: the embedded tiny target. */
  readonly model?: string | undefined;
  /** Folder to write. */
  readonly output: string;
  /** Default 4 (`affine`), or the mode's own. */
  readonly bits?: number | undefined;
  /** Values of one scale. Default 64 (`affine`), or the mode's own. */
  readonly groupSize?: number | undefined;
  /** Default `affine`. */
  readonly mode?: string | undefined;
  /** A recipe of two bit widths instead of `bits`. */
  readonly mixed?: string | undefined;
  /** What the text model's float weights are cast to first; default: as they are stored. */
  readonly dtype?: DtypeName | undefined;
  /** Also packs `embed_tokens` of an assistant with a centroid head, which mlx-vlm then cannot draft with. */
  readonly quantizeEmbedding?: boolean | undefined;
  /** Replaces a folder that an earlier run wrote. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the options say of packing. */
export interface Packing {
  /** Of every module that has no own. */
  readonly base: NativeQuantization;
  /** Absent: no recipe. */
  readonly recipe?: { readonly name: RecipeName; readonly high: NativeQuantization };
}

/**
 * Checks the options against each other.
 *
 * @throws MlxGemmaError `usage`
 */
export function packingOf(options: Pick<QuantizeOptions, "bits" | "groupSize" | "mode" | "mixed">): Packing {
  const { bits, groupSize, mixed } = options;
  const mode = MODES.find((name) => name === (options.mode ?? "affine"));
  if (!mode) throw usage("--mode", MODES.join(", "), String(options.mode));
  const defaults = MODE_DEFAULTS[mode];
  if (mode !== "affine") {
    const own = `${defaults.bits} bits and groups of ${defaults.groupSize}`;
    if (mixed !== undefined) throw usage("--mixed", `--mode affine (${mode} has ${own} only)`, mixed);
    if ((bits ?? defaults.bits) !== defaults.bits)
      throw usage("--bits", `${own} with --mode ${mode}`, `${bits}`);
    if ((groupSize ?? defaults.groupSize) !== defaults.groupSize)
      throw usage("--group-size", `${own} with --mode ${mode}`, `${groupSize}`);
  }
  const size = groupSize ?? defaults.groupSize;
  if (mode === "affine" && !includes(GROUP_SIZES, size))
    throw usage("--group-size", GROUP_SIZES.join(", "), `${size}`);
  if (mixed === undefined) {
    const width = bits ?? defaults.bits;
    if (mode === "affine" && !includes(BITS, width)) throw usage("--bits", BITS.join(", "), `${width}`);
    return { base: { groupSize: size, bits: width, mode } };
  }
  const recipe = isRecipe(mixed) ? mixed : undefined;
  if (!recipe) throw usage("--mixed", RECIPE_NAMES.join(", "), mixed);
  if (bits !== undefined)
    throw usage("--bits", `no --bits beside --mixed ${mixed}, which has its own`, `${bits}`);
  const [low, high] = RECIPES[recipe];
  return {
    base: { groupSize: size, bits: low, mode },
    recipe: { name: recipe, high: { groupSize: size, bits: high, mode } },
  };
}

function isRecipe(name: string): name is RecipeName {
  return Object.hasOwn(RECIPES, name);
}

function includes(list: readonly number[], value: number): boolean {
  return list.includes(value);
}

function usage(option: string, expected: string, found: string): MlxGemmaError {
  return new MlxGemmaError("usage", `${option}: expected ${expected}, found ${JSON.stringify(found)}`);
}
