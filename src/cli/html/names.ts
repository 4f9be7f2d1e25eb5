import { isAbsolute } from "node:path";
import { nameOfFolder } from "../../checkpoint/locate.js";

/** Where a checkpoint came from, for a page that is handed on: how the folders of a machine are called is nobody's business. */
export function nameOf(place: string): string {
  return isAbsolute(place) ? nameOfFolder(place) : place;
}

/** The settings of a run, its checkpoints by their names alone. */
export function withNames<T extends { readonly model: string; readonly assistant: string | null }>(
  settings: T,
): T {
  const { model, assistant } = settings;
  return { ...settings, model: nameOf(model), assistant: assistant === null ? null : nameOf(assistant) };
}
