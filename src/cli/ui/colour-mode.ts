/** What `--color` takes. */
export const COLOUR_MODES = ["auto", "always", "never"] as const;
export type ColourMode = (typeof COLOUR_MODES)[number];
