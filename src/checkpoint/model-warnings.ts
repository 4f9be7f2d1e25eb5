import type { Warning } from "../warnings.js";
import type { ConfigFiles } from "./config.js";
import { unknownKeys } from "./known-keys.js";
import type { AssistantConfig, TargetConfig, WeightPlan } from "./types.js";

/** The warnings of one checkpoint: of its config and of its weights. */
export function modelWarnings(
  files: ConfigFiles,
  config: TargetConfig | AssistantConfig,
  weights: WeightPlan,
): Warning[] {
  const isTarget = "eosTokenIds" in config;
  return [
    ...unknownKeys(files, isTarget ? "target" : "assistant"),
    ...(isTarget && config.eosTokenIds.length === 0 ? [noEnd(files)] : []),
    ...weights.warnings,
  ];
}

function noEnd({ file }: ConfigFiles): Warning {
  return {
    code: "no-end-of-sequence",
    message: `${file}: expected eos_token_id in it or in generation_config.json, found none: answers end at their limit of tokens alone; put it there`,
  };
}
