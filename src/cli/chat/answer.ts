import type { ConversationEvent } from "../../chat/conversation.js";
import type { Strictness, Warning } from "../../warnings.js";
import { write, writeJson } from "../stdout.js";
import { colours } from "../ui/colour.js";
import type { ColourMode } from "../ui/colour-mode.js";
import type { Progress } from "../ui/progress.js";
import { shownOn } from "../ui/terminal-text.js";
import { tellWarnings } from "../warnings.js";
import type { Settings } from "./settings.js";

export type EndEvent = Extract<ConversationEvent, { readonly type: "end" }>;

/** Where and how answers are shown. */
export interface AnswerView {
  readonly progress: Progress;
  readonly shown: Settings["shown"];
  readonly json: boolean;
  readonly color: ColourMode;
  /** Of the pair, for JSON. */
  readonly standing: readonly Warning[];
  readonly allow: Strictness["allow"];
}

/** Streams an answer: its text on stdout, thoughts dimmed on stderr; with `json` one object at the end. */
export async function showAnswer(
  events: AsyncIterable<ConversationEvent>,
  { progress, shown, json, color, standing, allow }: AnswerView,
): Promise<EndEvent> {
  const { stdout, stderr } = process;
  const chalk = colours(color, stdout);
  const dim = colours(color, stderr).dim;
  let dropped = 0;
  /** Told before the answer. */
  const early: Warning[] = [];
  /** Whether the last that was shown is a thought whose line is not ended. */
  let inThought = false;
  let lineIsOpen = false;
  for await (const event of events) {
    switch (event.type) {
      case "dropped":
        dropped = event.messages;
        early.push(event.warning);
        tellWarnings(early, { allow }, progress);
        break;
      case "prefill":
        progress.say(`reading, ${event.done} of ${event.total} tokens`);
        break;
      case "tokens":
        progress.stop();
        for (const { text, thought, drafted } of event.pieces) {
          if (thought) {
            if (shown.thoughts && !json) {
              stderr.write(dim(shownOn(stderr, text)));
              inThought = !text.endsWith("\n");
            }
            continue;
          }
          if (inThought) stderr.write("\n");
          inThought = false;
          if (json) continue;
          const clean = shownOn(stdout, text);
          await write(shown.drafts && drafted ? chalk.green(clean) : clean);
          lineIsOpen = !text.endsWith("\n");
        }
        break;
      case "end": {
        progress.stop();
        if (inThought) stderr.write("\n");
        const { text, thoughts, tokenIds, stopReason, stats } = event;
        const warnings = [...standing, ...event.warnings];
        if (json) await writeJson<"chat">({ text, thoughts, tokenIds, stopReason, dropped, stats, warnings });
        else if (lineIsOpen) await write("\n");
        const late = event.warnings.filter((warning) => !early.includes(warning));
        tellWarnings(late, { allow }, progress);
        return event;
      }
    }
  }
  throw new Error("the answer ended without its end event");
}
