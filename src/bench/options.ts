/** The suites that come with the package. */
export const SUITES = ["chat", "prose", "code", "json", "long"] as const;
export type SuiteName = (typeof SUITES)[number];

/** What holds where an option is not given. */
export const BENCH_DEFAULTS = {
  suites: ["chat", "prose", "code", "json"],
  draftTokens: [1, 2, 3, 4, 6, 8, "auto"],
  maxTokens: 128,
  repetitions: 5,
  tolerance: 0.1,
} as const satisfies { readonly suites: readonly SuiteName[] } & Record<string, unknown>;

export const OUTPUT_FORMATS = ["table", "json", "jsonl", "csv", "md"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];
