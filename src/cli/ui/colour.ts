import { Chalk, type ChalkInstance } from "chalk";

/** What `--color` takes. */
export const COLOUR_MODES = ["auto", "always", "never"] as const;
export type ColourMode = (typeof COLOUR_MODES)[number];

/** Colours for one stream: on a terminal only, unless asked for; NO_COLOR holds unless `--color always`. */
export function colours(mode: ColourMode, stream: { readonly isTTY?: boolean }): ChalkInstance {
  const env = process.env;
  const wanted =
    mode === "always" ||
    (mode === "auto" &&
      !env.NO_COLOR &&
      env.TERM !== "dumb" &&
      (stream.isTTY === true || (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "0")));
  return new Chalk({ level: wanted ? (/truecolor|24bit/.test(env.COLORTERM ?? "") ? 3 : 2) : 0 });
}
