import { join } from "node:path";
import { type ConfigFiles, resolveAssistant, resolveTarget } from "./config.js";
import { locateFolder } from "./locate.js";
import { modelWarnings } from "./model-warnings.js";
import { packingRules } from "./packing-rules.js";
import { isThere, readJson } from "./plain-file.js";
import { openTensors } from "./shards.js";
import type { AssistantCheckpoint, TargetCheckpoint, TargetConfig, WeightPlan } from "./types.js";
import { planAssistant, planTarget } from "./weights.js";

export {
  EMBEDDED_TARGET,
  type FoundAssistant,
  findAssistant,
  locateFolder,
  nameOfFolder,
  noAssistant,
} from "./locate.js";
export { type LocateOptions, locateAssistant, locateCheckpoint } from "./locate-remote.js";
export { checkFit, checkPair } from "./pairing.js";
export type * from "./types.js";

/**
 * Opens a target's folder (the embedded one when none is given): reads its configs and the headers of its weights,
 * checks all of it, reads no weights.
 *
 * @throws MlxGemmaError `checkpoint`, `unsupported`, or `usage` for an assistant's folder.
 */
export function openTarget(path?: string): TargetCheckpoint {
  const folder = locateFolder(path);
  const files = configFiles(folder);
  const config = resolveTarget(files);
  const packing = packingRules(files, "target");
  const weights = planTarget({ folder, config, tensors: openTensors(folder), packing });
  const warnings = modelWarnings(files, config, weights);
  return { folder, config: { ...config, ...packedModules(weights) }, weights, warnings };
}

/**
 * Opens an assistant's folder, as {@link openTarget}. Whether it fits a target is for {@link checkPair}.
 *
 * @throws MlxGemmaError `checkpoint`, `unsupported`, or `usage` for a target's folder.
 */
export function openAssistant(path: string): AssistantCheckpoint {
  const folder = locateFolder(path);
  const files = configFiles(folder);
  const config = resolveAssistant(files);
  const packing = packingRules(files, "assistant");
  const weights = planAssistant({ folder, config, tensors: openTensors(folder), packing });
  const warnings = modelWarnings(files, config, weights);
  return { folder, config: { ...config, ...packedModules(weights) }, weights, warnings };
}

function packedModules({ quantization }: WeightPlan): Pick<TargetConfig, "quantization"> {
  return Object.keys(quantization).length > 0 ? { quantization } : {};
}

function configFiles(folder: string): ConfigFiles {
  const file = join(folder, "config.json");
  const generationFile = join(folder, "generation_config.json");
  const config = readJson(file);
  return isThere(generationFile)
    ? { file, config, generationFile, generation: readJson(generationFile) }
    : { file, config };
}
