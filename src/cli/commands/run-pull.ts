import {
  parseRepoId,
  type ResolvedRepo,
  type ResolveOptions,
  resolveFirst,
  resolveRepo,
} from "../../checkpoint/hub/index.js";
import { assistantCandidates } from "../../checkpoint/known-pairs.js";
import { MlxGemmaError } from "../../errors.js";
import { nearest } from "../../nearest.js";
import { size } from "../../units.js";
import { onInterruption } from "../interruption.js";
import { write, writeJson } from "../stdout.js";
import { downloadBar } from "../ui/download-bar.js";
import { openProgress, type Progress } from "../ui/progress.js";
import type { PullFlags } from "./pull.js";

const DRAFT_WORDS = ["assistant", "none"];

/** Runs `mlx-gemma pull`. Sets the exit code when it was interrupted; an error is thrown. */
export async function runPull(repository: string, flags: PullFlags): Promise<void> {
  const ref = parseRepoId(repository);
  if (!ref) {
    throw new MlxGemmaError(
      "usage",
      `expected a repository such as google/gemma-4-E2B-it, found ${JSON.stringify(repository)}`,
    );
  }
  const { draft } = flags;
  if (!DRAFT_WORDS.includes(draft) && !parseRepoId(draft)) {
    const advice = nearest(draft, DRAFT_WORDS);
    throw new MlxGemmaError(
      "usage",
      `--draft: expected ${DRAFT_WORDS.join(", ")} or a repository such as google/gemma-4-E2B-it-assistant, found ${JSON.stringify(draft)}${advice === undefined ? "" : `; ${advice}`}`,
    );
  }
  const progress = await openProgress({ quiet: flags.quiet === true, color: flags.color });
  const interruption = onInterruption(() => progress.stop());
  const { signal } = interruption;
  const { verify } = flags;
  try {
    const target = await pullOne(repository, { revision: flags.revision, verify, signal }, progress);
    const assistant = await pullAssistant(ref.id, flags, { verify, signal }, progress);
    progress.stop();
    if (flags.json) await writeJson<"pull">({ target, ...(assistant ? { assistant } : {}) });
    else await write([target, ...(assistant ? [assistant] : [])].map(({ folder }) => `${folder}\n`).join(""));
  } catch (error) {
    if (!(error instanceof MlxGemmaError && error.code === "aborted")) throw error;
    progress.stop();
    progress.line("interrupted; run it again to go on where it stopped");
    process.exitCode = interruption.exitCode;
  } finally {
    progress.stop();
  }
}

async function pullOne(name: string, options: ResolveOptions, progress: Progress): Promise<ResolvedRepo> {
  progress.say(`asking for ${name}`);
  const bar = downloadBar(progress);
  try {
    const done = await resolveRepo(name, { ...options, refresh: true, onProgress: bar.on });
    tell(done, progress);
    return done;
  } finally {
    bar.stop();
  }
}

async function pullAssistant(
  target: string,
  { draft }: PullFlags,
  options: ResolveOptions,
  progress: Progress,
): Promise<ResolvedRepo | undefined> {
  if (draft === "none") return undefined;
  if (draft !== "assistant") return pullOne(draft, options, progress);
  const names = assistantCandidates(target);
  progress.say(`looking for the assistant of ${target}`);
  const bar = downloadBar(progress);
  try {
    const found = await resolveFirst(names, { ...options, refresh: true, onProgress: bar.on });
    if (found) {
      tell(found, progress);
      return found;
    }
  } finally {
    bar.stop();
  }
  throw new MlxGemmaError(
    "hub",
    `${target}: expected its assistant on the hub, found none${names.length > 0 ? ` of the names ${names.join(", ")}` : ""}; give its name: --draft org/name`,
  );
}

function tell({ id, commit, downloaded }: ResolvedRepo, progress: Progress): void {
  const how = downloaded === 0 ? "was in the cache" : `${size(downloaded)} downloaded`;
  progress.line(`${id}: ${how}, commit ${commit.slice(0, 12)}`);
}
