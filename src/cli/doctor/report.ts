import { MlxGemmaError } from "../../errors.js";
import { warningsSchema } from "../../warning-schema.js";
import type { Warning } from "../../warnings.js";
import * as z from "../../zod.js";
import { withShortHome } from "../ui/home.js";

const status = z.enum(["ok", "warn", "fail"]);
export type Status = z.infer<typeof status>;

/** What was looked at, and found. A change of these keys is a breaking change. */
const checkSchema = z.strictObject({
  /** Stable: `cpu`, `hub` … */
  id: z.string(),
  status,
  /** One line for people. */
  found: z.string(),
  /** What to do; null where nothing is to be done. */
  cure: z.string().nullable(),
  /** The same as values; null: not known. */
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export type Check = z.infer<typeof checkSchema>;

/** `mlx-gemma doctor --json`. */
export const reportSchema = z.strictObject({
  version: z.literal(1),
  /** The worst of the checks. */
  status,
  checks: z.array(checkSchema),
  /** Of the pairs that were loaded: the embedded one, and that of `--exact`. */
  warnings: warningsSchema,
});
export type Report = z.infer<typeof reportSchema>;

export function reportOf(checks: readonly Check[], warnings: readonly Warning[] = []): Report {
  const worst = (["fail", "warn"] as const).find((each) => checks.some((check) => check.status === each));
  return { version: 1, status: worst ?? "ok", checks: [...checks], warnings };
}

/** What a look gives: the id is added where it is run. */
export type Finding = Omit<Check, "id" | "cure" | "facts"> & {
  readonly cure?: string | undefined;
  readonly facts?: Check["facts"];
};

/** One thing to look at. */
export interface Look {
  readonly id: string;
  /** What the spinner says meanwhile. */
  readonly what: string;
  /** The cure where `run` throws something that has none of its own. */
  readonly cure: string;
  /** What it means when `run` throws; default `fail`. */
  readonly thrown?: Status;
  run(): Promise<Finding> | Finding;
}

/** Runs a look; what it throws is a finding, too. @throws MlxGemmaError `aborted` */
export async function take({ id, cure, thrown = "fail", run }: Look): Promise<Check> {
  try {
    const { status, found, cure: advice = null, facts = {} } = await run();
    return withoutSecrets({ id, status, found, cure: advice, facts });
  } catch (error) {
    if (error instanceof MlxGemmaError && error.code === "aborted") throw error;
    const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, " ");
    // Our own errors end with what to do.
    const end = error instanceof MlxGemmaError ? message.lastIndexOf("; ") : -1;
    const [found, advice] = end < 0 ? [message, cure] : [message.slice(0, end), message.slice(end + 2)];
    return withoutSecrets({ id, status: thrown, found, cure: advice, facts: {} });
  }
}

/** A report is pasted into public places: the user's folder is `~`, and a token that got into a message is gone. */
function withoutSecrets(check: Check): Check {
  const facts = Object.entries(check.facts).map(([key, value]) => [
    key,
    typeof value === "string" ? withoutSecret(value) : value,
  ]);
  return {
    ...check,
    found: withoutSecret(check.found),
    cure: check.cure === null ? null : withoutSecret(check.cure),
    facts: Object.fromEntries(facts),
  };
}

export function withoutSecret(text: string): string {
  return withShortHome(text)
    .replace(/\bhf_\w+/g, "hf_…")
    .replace(/\/\/[^/@\s]+@/g, "//…@");
}
