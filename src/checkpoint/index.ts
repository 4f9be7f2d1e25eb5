import { join } from "node:path";
import { type ConfigFiles, resolveAssistant, resolveTarget } from "./config.js";
import { isFile, readJson } from "./json.js";
import { locateFolder } from "./locate.js";
import { readTensors } from "./shards.js";
import type { AssistantCheckpoint, TargetCheckpoint } from "./types.js";
import { planAssistant, planTarget } from "./weights.js";

export { EMBEDDED_TARGET, findAssistant, locateFolder } from "./locate.js";
export { checkPair } from "./pairing.js";
export type * from "./types.js";

/**
 * Opens a target's folder (the embedded one when none is given): reads its configs and the headers of its weights,
 * checks all of it, reads no weights.
 *
 * @throws MlxGemmaError `checkpoint`, `unsupported`, or `usage` for an assistant's folder.
 */
export function openTarget(path?: string): TargetCheckpoint {
  const folder = locateFolder(path);
  const config = resolveTarget(configFiles(folder));
  return { folder, config, weights: planTarget(folder, config, readTensors(folder)) };
}

/**
 * Opens an assistant's folder, as {@link openTarget}. Whether it fits a target is for {@link checkPair}.
 *
 * @throws MlxGemmaError `checkpoint`, `unsupported`, or `usage` for a target's folder.
 */
export function openAssistant(path: string): AssistantCheckpoint {
  const folder = locateFolder(path);
  const config = resolveAssistant(configFiles(folder));
  return { folder, config, weights: planAssistant(folder, config, readTensors(folder)) };
}

function configFiles(folder: string): ConfigFiles {
  const file = join(folder, "config.json");
  const generationFile = join(folder, "generation_config.json");
  const config = readJson(file);
  return isFile(generationFile)
    ? { file, config, generationFile, generation: readJson(generationFile) }
    : { file, config };
}
