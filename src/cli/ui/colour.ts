import { Chalk, type ChalkInstance } from "chalk";
import type { ColourMode } from "./colour-mode.js";

/**
 * Colours for one stream. `auto`: on a terminal that can, or where FORCE_COLOR asks for them; never where NO_COLOR is
 * set. https://no-color.org, https://force-color.org
 */
export function colours(mode: ColourMode, stream: { readonly isTTY?: boolean }): ChalkInstance {
  return new Chalk({ level: mode === "always" || (mode === "auto" && wanted(stream)) ? 1 : 0 });
}

function wanted(stream: { readonly isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  return stream.isTTY === true && TERM !== "dumb";
}
