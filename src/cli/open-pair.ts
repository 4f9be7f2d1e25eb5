import { existsSync } from "node:fs";
import { isHubOnly } from "../checkpoint/hub/repo-id.js";
import { MlxGemmaError } from "../errors.js";
import { type LoadedPair, load } from "../load.js";
import type { DraftTokens } from "../options.js";
import type { PairFlags } from "./flags.js";
import { downloadBar } from "./ui/download-bar.js";
import { withShortHome } from "./ui/home.js";
import type { Progress } from "./ui/progress.js";

/** Refuses what the options that name a pair can't say together. @throws MlxGemmaError `usage` */
export function checkPairFlags(flags: PairFlags): void {
  checkDraft(flags);
  checkRevisionFlag(flags);
}

/** Loads the pair, its progress shown, and tells which assistant it took. Its `warnings` are the caller's. */
export async function openPair(
  flags: Omit<PairFlags, "draftTokens">,
  progress: Progress,
  signal: AbortSignal,
): Promise<LoadedPair> {
  const bar = downloadBar(progress);
  try {
    progress.say("loading the model");
    const { model, revision, offline, draft, dtype, threads, requireExact, strict, allow } = flags;
    const asked = { model, revision, offline, draft, dtype, threads, requireExact, strict, allow };
    const pair = await load({ ...asked, signal, onDownload: bar.on });
    // Of the embedded pair there is nothing to choose.
    if (model !== undefined) tellAssistant(pair, progress);
    return pair;
  } finally {
    bar.stop();
  }
}

/** K as it was asked for; where `--draft auto` has found no assistant, none. */
export function drafting(
  { drafter }: LoadedPair,
  { draftTokens }: Pick<PairFlags, "draftTokens">,
): { readonly draftTokens: DraftTokens | undefined } {
  return { draftTokens: drafter ? draftTokens : undefined };
}

/** A folder has no revisions: the option would do nothing. @throws MlxGemmaError `usage` */
export function checkRevisionFlag({ model, revision }: Pick<PairFlags, "model" | "revision">): void {
  if (revision === undefined) return;
  const isFolder = model === undefined || (!isHubOnly(model) && existsSync(model));
  if (!isFolder) return;
  throw new MlxGemmaError(
    "usage",
    `--revision: expected a repository of the hub as --model, found ${model === undefined ? "none" : "a folder"}; give org/name, or hf://org/name where a folder has that name`,
  );
}

function checkDraft({ draft, draftTokens = 0 }: PairFlags): void {
  if (draft !== "none" || draftTokens === 0) return;
  throw new MlxGemmaError(
    "usage",
    `--draft-tokens: ${draftTokens} needs a drafter, found none; give --draft assistant or an assistant's folder`,
  );
}

/** Which assistant `--draft assistant` took: on a terminal always, elsewhere where its place does not say it. */
function tellAssistant({ assistant }: LoadedPair, progress: Progress): void {
  if (!assistant || !(process.stderr.isTTY || assistant.guessed)) return;
  progress.note(withShortHome(`drafting with ${assistant.folder} (${assistant.why})`));
}
