/** A size of Gemma 4 and the repositories of the hub that its makers publish for it. */
export interface KnownPair {
  /** As it stands in the names, `26B-A4B`. */
  readonly size: string;
  /** The instruction-tuned target. */
  readonly target: string;
  /** The pretrained model. It has no assistant of its own: the tuned one's fits, and is accepted less. */
  readonly base: string;
  /** The target trained for 4 bit. */
  readonly qat: string;
  /** The target's MTP assistant. */
  readonly assistant: string;
  /** That of the target trained for 4 bit. */
  readonly qatAssistant: string;
}

/** Every published size. Names of the hub are told apart without regard to case. */
export const KNOWN_PAIRS: readonly KnownPair[] = ["E2B", "E4B", "12B", "26B-A4B", "31B"].map((size) => ({
  size,
  target: `google/gemma-4-${size}-it`,
  base: `google/gemma-4-${size}`,
  qat: `google/gemma-4-${size}-it-qat-q4_0-unquantized`,
  assistant: `google/gemma-4-${size}-it-assistant`,
  qatAssistant: `google/gemma-4-${size}-it-qat-q4_0-unquantized-assistant`,
}));

/** How a size is written inside a name: `gemma-4-E4B`, `Gemma4-e4b`. */
const SIZE = /(gemma)-?4[-_](e2b|e4b|12b|26b-a4b|31b)(?![a-z0-9])/i;

/** What conversions put at the end of a name: a format, bits, a group size, a recipe, a tool. */
const PACKAGING =
  /[-_.](?:\d(?:\.\d+)?[-_]?bits?|bf16|fp16|f16|fp32|f32|fp8|int[48]|mxfp[48]|nvfp4|(?:gs|g)(?:16|32|64|128)|mixed[-_]\d[-_]\d|dwq|optiq|mlx|text)$/i;

/**
 * The repositories that may hold a target's assistant, likeliest first: of the target's own organisation in the
 * target's packaging, in bf16, and as it is; then the makers'. Empty for a name that is no `org/name`, or that is
 * an assistant's itself.
 *
 *     mlx-community/gemma-4-e4b-it-4bit → mlx-community/gemma-4-E4B-it-assistant-4bit,
 *       mlx-community/gemma-4-E4B-it-assistant-bf16, mlx-community/gemma-4-E4B-it-assistant,
 *       google/gemma-4-E4B-it-assistant
 *
 * @param repoId `org/name`, without a revision
 */
export function assistantCandidates(repoId: string): string[] {
  const [, organisation, name] = /^(\w[\w.-]*)\/(\w[\w.-]*)$/.exec(repoId) ?? [];
  if (organisation === undefined || name === undefined || isAssistantName(name)) return [];
  const known = pairOf(name);
  const { stem, packaging } = splitName(name);
  const own = [packaging, ...(packaging === "" ? [] : ["-bf16", ""])].map(
    (suffix) => `${organisation}/${stem}-assistant${suffix}`,
  );
  const makers = known ? [...(isQat(name) ? [known.qatAssistant] : []), known.assistant] : [];
  const seen = new Set<string>();
  return [...own, ...makers].filter((candidate) => {
    const key = candidate.toLowerCase();
    return !seen.has(key) && seen.add(key);
  });
}

/** Names of folders that may hold the assistant of a target's folder of this name, without the organisation. */
export function assistantFolderNames(name: string): string[] {
  const candidates = assistantCandidates(`any/${name}`).map((id) => id.slice(id.indexOf("/") + 1));
  return [...new Set([`${name}-assistant`, ...candidates])];
}

/** The published size that a name speaks of. */
export function pairOf(name: string): KnownPair | undefined {
  const size = SIZE.exec(name)?.[2]?.toUpperCase();
  return KNOWN_PAIRS.find((pair) => pair.size === size);
}

/** Whether a name is that of an assistant. */
export function isAssistantName(name: string): boolean {
  return /(?:^|[-_.])assistant(?:$|[-_.])/i.test(name);
}

/**
 * What a checkpoint was before its conversion, for comparing a target's name with an assistant's: `gemma-4-e4b-it` for
 * both `gemma-4-E4B-it-4bit` and `gemma-4-E4B-it-assistant-bf16`. Undefined for a name that speaks of no published
 * size.
 */
export function originOf(name: string): string | undefined {
  if (!pairOf(name)) return undefined;
  const { stem } = splitName(name.replace(/^.*\//, "").replace(/[-_.]assistant(?=$|[-_.])/i, ""));
  return stem.replace(/-q4_0-unquantized$/i, "").toLowerCase();
}

function isQat(name: string): boolean {
  return /[-_.]qat(?:$|[-_.])/i.test(name);
}

/** Cuts off what a conversion added, and writes the size as the makers do. */
function splitName(name: string): { readonly stem: string; readonly packaging: string } {
  let stem = name;
  while (PACKAGING.test(stem)) stem = stem.replace(PACKAGING, "");
  if (stem === "") return { stem: name, packaging: "" };
  return {
    stem: stem.replace(SIZE, (_, gemma: string, size: string) => `${gemma}-4-${size.toUpperCase()}`),
    packaging: name.slice(stem.length),
  };
}
