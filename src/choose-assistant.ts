import { resolve } from "node:path";
import {
  type AssistantCheckpoint,
  checkPair,
  type FoundAssistant,
  type LocateOptions,
  locateAssistant,
  locateCheckpoint,
  openAssistant,
  type TargetCheckpoint,
} from "./checkpoint/index.js";
import { checkpointError } from "./checkpoint/json.js";
import { isPresent } from "./checkpoint/plain-file.js";
import type { FloatDtype } from "./checkpoint/types.js";
import { type ErrorCode, MlxGemmaError } from "./errors.js";
import { nearest } from "./nearest.js";
import type { Warning, WarningCode } from "./warnings.js";
import { requireMemory } from "./weights-memory.js";

/** Who drafts. Without an assistant it is plain decoding: because nobody was asked for, or with a warning that says why. */
export interface Chosen {
  readonly assistant?: AssistantCheckpoint;
  /** Where it was not named. */
  readonly found?: FoundAssistant;
  readonly warnings: readonly Warning[];
}

/** Codes of what `auto` does without: a mistake, an interruption or a full disk is none of it. */
const NOT_THERE: readonly ErrorCode[] = ["checkpoint", "hub"];
const NOT_USABLE: readonly ErrorCode[] = ["checkpoint", "pair", "unsupported", "usage", "memory"];

/**
 * Finds the assistant that `draft` asks for, opens it and checks that it fits. For `auto` alone, one that is not there or
 * can't be used is a warning.
 *
 * @param dtype what weights are cast to, for the memory that the pair needs
 * @throws MlxGemmaError as `load`
 */
export async function chooseAssistant(
  target: TargetCheckpoint,
  draft: string,
  { dtype, ...hub }: Omit<LocateOptions, "revision"> & { readonly dtype: FloatDtype | undefined },
): Promise<Chosen> {
  if (draft === "none") return { warnings: [] };
  const isAuto = draft === "auto";
  const plain = (error: unknown, tolerable: readonly ErrorCode[], code: WarningCode): Chosen => {
    if (!(isAuto && error instanceof MlxGemmaError && tolerable.includes(error.code))) throw error;
    return { warnings: [{ code, message: `no drafting, this is plain decoding: ${error.message}` }] };
  };
  let found: FoundAssistant | undefined;
  try {
    found = isAuto || draft === "assistant" ? await locateAssistant(target.folder, hub) : undefined;
  } catch (error) {
    return plain(error, NOT_THERE, "no-assistant");
  }
  if (!found && /^\w+$/.test(draft) && !isPresent(draft)) throw noSuchDraft(draft);
  const folder = found?.folder ?? (await locateCheckpoint(draft, hub));
  try {
    const assistant = openAssistant(folder);
    const warnings = [...assistant.warnings, ...checkPair(target, assistant)];
    requireMemory([target, assistant], dtype);
    return { assistant, ...(found ? { found } : {}), warnings };
  } catch (error) {
    return plain(error, NOT_USABLE, "assistant-refused");
  }
}

function noSuchDraft(draft: string): MlxGemmaError {
  const words = ["assistant", "auto", "none"];
  return checkpointError(
    resolve(draft),
    `expected the folder of an assistant, found nothing there; ${nearest(draft, words) ?? "check the path"}; words that draft takes: ${words.join(", ")}`,
  );
}
