import { MlxGemmaError } from "../errors.js";
import { checkpointError, describe } from "./json.js";
import { at, type Place } from "./schema.js";
import type { AssistantConfig, TargetConfig } from "./types.js";

type Json = Readonly<Record<string, unknown>>;

const TARGETS: readonly TargetConfig["modelType"][] = [
  "gemma4",
  "gemma4_text",
  "gemma4_unified",
  "gemma4_unified_text",
];
const ASSISTANTS: readonly AssistantConfig["modelType"][] = ["gemma4_assistant", "gemma4_unified_assistant"];
const TEXTS = ["gemma4_text", "gemma4_unified_text"] as const;

/**
 * `model_type` of a target.
 *
 * @throws MlxGemmaError `usage` for an assistant, `checkpoint` for anything else.
 */
export function targetType(config: Json, root: Place): TargetConfig["modelType"] {
  const where = at(root, "model_type");
  const type = TARGETS.find((name) => name === config.model_type);
  if (type) return type;
  if (ASSISTANTS.some((name) => name === config.model_type)) {
    throw new MlxGemmaError(
      "usage",
      `${where}: expected a Gemma 4 target, found an assistant (${describe(config.model_type)}); give the target's folder as the model, and this one as its drafter`,
    );
  }
  throw foreign(config.model_type, where, TARGETS);
}

/**
 * `model_type` of an assistant.
 *
 * @throws MlxGemmaError `usage` for a target, `checkpoint` for anything else.
 */
export function assistantType(config: Json, root: Place): AssistantConfig["modelType"] {
  const where = at(root, "model_type");
  const type = ASSISTANTS.find((name) => name === config.model_type);
  if (type) return type;
  if (TARGETS.some((name) => name === config.model_type)) {
    throw new MlxGemmaError(
      "usage",
      `${where}: expected a Gemma 4 assistant, found a target (${describe(config.model_type)}); give the assistant's folder as the drafter`,
    );
  }
  throw foreign(config.model_type, where, ASSISTANTS);
}

/**
 * Whether a text config is of the unified family, whose defaults differ: by its own `model_type`, else by the type
 * that stands outside.
 *
 * @throws MlxGemmaError `checkpoint` for a text model of another kind.
 */
export function isUnifiedText(text: Json, outerType: string, place: Place): boolean {
  const own = text.model_type;
  if (own === undefined) return outerType.startsWith("gemma4_unified");
  const type = TEXTS.find((name) => name === own);
  if (type) return type === "gemma4_unified_text";
  throw foreign(own, at(place, "model_type"), TEXTS);
}

function foreign(type: unknown, where: string, expected: readonly string[]): MlxGemmaError {
  const names = expected.map((name) => JSON.stringify(name));
  return checkpointError(
    where,
    `expected ${names.slice(0, -1).join(", ")} or ${names.at(-1)}, found ${describe(type)}; give the folder of a Gemma 4 checkpoint`,
  );
}
