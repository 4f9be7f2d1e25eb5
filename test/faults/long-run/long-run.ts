import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export { judge, SHORT } from "./judge.js";

const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url));
/**
 * V8 lets its young generation grow to 3 × 16 MiB as it sees fit, by the clock too: a step of 17 MB after 170 generations here, at
 * another time on another machine. With 3 × 2 MiB all of it is there from the beginning, and what grows is a leak.
 */
const FLAGS = ["--max-semi-space-size=2"];

export interface Plan {
  readonly cycles?: number;
  /** The run ends after the cycle that reaches them. */
  readonly tokens?: number;
  /** Of the longest generations. */
  readonly maxTokens: number;
  readonly threads: number;
  /** What leaks on purpose with each generation. */
  readonly plant?: string | undefined;
}

/** What the process holds when all that can be collected is gone; bytes, or counts. */
export interface Held {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
  readonly active: number;
  readonly cache: number;
  readonly liveArrays: number;
  readonly resources: string;
  /** On Linux. */
  readonly files?: number;
  readonly threads?: number;
}

/** A cycle of generations, and what was held after it. */
export interface Cycle extends Held {
  readonly at: "cycle";
  /** Tokens of the run up to here. */
  readonly total: number;
  readonly tokens: number;
  readonly steps: number;
  readonly accepted: number;
  /** Greedy answers that are not those of the run's beginning. */
  readonly differing: number;
  readonly ms: number;
  readonly processorMs: number;
  /** Before anything was collected. */
  readonly rssAsItIs: number;
}

export type Line = Cycle | ({ readonly at: "start" | "end" } & Held);

/**
 * Runs child.mjs.
 *
 * @param onLine gets each line as it comes, and ends the run with `"enough"`
 * @returns all lines, and how the process ended: `"0"` where it did as it should, `"enough"` where it was told to
 */
export async function longRun(
  plan: Plan,
  onLine: (line: Line) => "enough" | undefined = () => undefined,
): Promise<{ readonly lines: readonly Line[]; readonly ended: string }> {
  const child = spawn(process.execPath, [...FLAGS, CHILD, JSON.stringify(plan)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
  const lines: Line[] = [];
  let enough = false;
  for await (const text of createInterface({ input: child.stdout })) {
    const line: Line = JSON.parse(text);
    lines.push(line);
    enough ||= onLine(line) === "enough";
    if (enough) child.kill();
  }
  const how = String(await closed);
  return { lines, ended: enough ? "enough" : how };
}
