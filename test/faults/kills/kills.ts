import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mulberry32 } from "../../../src/bench/statistics.js";
import { SCENARIOS, type Scenario } from "./scenarios.js";

const PRELOAD = new URL("kill-at.mjs", import.meta.url).href;
/** Kills in a row before a run that is left to end. */
const MOST_IN_A_ROW = 3;
/** Kills at a step of the program, the others by the clock. */
const AT_A_STEP = 0.7;
/** A run that takes longer hangs. */
const LIMIT_MS = 120_000;

export type Kill =
  /** Before the n-th change of a file, or in the middle of it. */
  | { readonly step: number; readonly half: boolean }
  /** So many milliseconds after the start. */
  | { readonly ms: number };

/** A trial: killed runs in the same folder, then one that heals. */
export interface Trial {
  readonly scenario: string;
  readonly index: number;
  readonly kills: readonly Kill[];
}

export interface Failure extends Trial {
  readonly what: string;
}

export interface Tally {
  readonly scenario: string;
  /** Runs that SIGKILL ended. */
  killed: number;
  /** Of those, at a step; the others by the clock. */
  atStep: number;
  /** Runs that were done before their kill came. */
  finished: number;
  /** Runs that had to heal, and did. */
  healed: number;
  /** Changes of files that an undisturbed run makes. */
  readonly steps: number;
  seconds: number;
  readonly failures: Failure[];
}

export interface CampaignOptions {
  readonly kills: number;
  readonly seed: number;
  /** Trials to leave out: a replay begins at its own. */
  readonly from?: number;
  readonly onTrial?: (tally: Tally) => void;
}

/** Kills a scenario's command again and again. Ends early after three failures. */
export async function campaign(name: string, options: CampaignOptions): Promise<Tally> {
  const make = SCENARIOS[name];
  if (!make) throw new Error(`expected one of ${Object.keys(SCENARIOS).join(", ")}, found ${name}`);
  const scenario = await make();
  const start = performance.now();
  try {
    const { steps, ms } = await undisturbed(scenario);
    const tally: Tally = {
      scenario: name,
      killed: 0,
      atStep: 0,
      finished: 0,
      healed: 0,
      steps,
      seconds: 0,
      failures: [],
    };
    for (let index = options.from ?? 0; tally.killed < options.kills && tally.failures.length < 3; index++) {
      const trial = { scenario: name, index, kills: killsOf(options.seed, name, index, { steps, ms }) };
      try {
        await tryOut(scenario, trial.kills, tally);
      } catch (error) {
        tally.failures.push({ ...trial, what: error instanceof Error ? error.message : String(error) });
      }
      tally.seconds = Math.round((performance.now() - start) / 1000);
      options.onTrial?.(tally);
    }
    return tally;
  } finally {
    await scenario.close?.();
  }
}

/** How many changes of files a run makes, and how long it takes; it must be as right as one that heals. */
async function undisturbed(scenario: Scenario): Promise<{ readonly steps: number; readonly ms: number }> {
  return await inFolder(async (folder, aside) => {
    await scenario.prepare(folder, 0);
    const count = join(aside, "steps");
    const start = performance.now();
    await healingRun(scenario, folder, { MLX_GEMMA_KILL_COUNT: count });
    return { steps: Number(readFileSync(count, "utf8")), ms: performance.now() - start };
  });
}

async function tryOut(scenario: Scenario, kills: readonly Kill[], tally: Tally): Promise<void> {
  await inFolder(async (folder) => {
    await scenario.prepare(folder, kills.length);
    for (const kill of kills) {
      const run = await runOf(
        scenario,
        folder,
        "step" in kill ? { MLX_GEMMA_KILL_AT: JSON.stringify(kill) } : {},
        kill,
      );
      if (run.signal === "SIGKILL") {
        tally.killed++;
        if ("step" in kill) tally.atStep++;
      } else if (run.code === 0) tally.finished++;
      else throw new Error(`after a kill the next run ended with ${run.code ?? run.signal}: ${run.said}`);
      scenario.check(folder, run.said, run.code === 0);
    }
    await healingRun(scenario, folder, {});
    tally.healed++;
  });
}

async function healingRun(
  scenario: Scenario,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const run = await runOf(scenario, folder, env);
  if (run.code !== 0) throw new Error(`the healing run ended with ${run.code ?? run.signal}: ${run.said}`);
  scenario.check(folder, run.said, true);
  scenario.healed(folder);
}

interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** On stdout and stderr. */
  readonly said: string;
}

function runOf(
  scenario: Scenario,
  folder: string,
  env: Readonly<Record<string, string>>,
  kill?: Kill,
): Promise<Run> {
  const { args, input = "", env: own = {} } = scenario.command(folder);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", PRELOAD, ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1", ...own, ...env },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), kill && "ms" in kill ? kill.ms : LIMIT_MS);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    }
    child.on("error", reject).on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, said });
    });
    child.stdin.on("error", () => {}).end(input);
  });
}

async function inFolder<T>(work: (folder: string, aside: string) => Promise<T>): Promise<T> {
  const [folder, aside] = ["mlx-gemma-kills-", "mlx-gemma-kills-aside-"].map((name) =>
    mkdtempSync(join(tmpdir(), name)),
  );
  if (folder === undefined || aside === undefined) throw new Error("no folder");
  try {
    return await work(folder, aside);
  } finally {
    for (const each of [folder, aside]) rmSync(each, { recursive: true, force: true });
  }
}

/** The kills of a trial; the same for the same seed, except that the clock is not. */
function killsOf(
  seed: number,
  name: string,
  index: number,
  { steps, ms }: { steps: number; ms: number },
): Kill[] {
  const random = mulberry32(createHash("sha256").update(`${seed} ${name} ${index}`).digest().readInt32LE());
  return Array.from({ length: 1 + Math.floor(random() * MOST_IN_A_ROW) }, () => {
    const [how, when, half] = [random(), random(), random() < 0.5];
    return how < AT_A_STEP ? { step: Math.floor(when * steps), half } : { ms: Math.round(when * ms) };
  });
}

export { SCENARIOS };
