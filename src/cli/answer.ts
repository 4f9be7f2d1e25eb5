import { fstatSync } from "node:fs";
import type { GenerationEvent } from "../generate.js";
import type { LoadedPair } from "../load.js";
import type { Flags } from "./flags.js";
import { write } from "./stdout.js";
import { colours } from "./ui/colour.js";
import type { Progress } from "./ui/progress.js";
import { shownOn } from "./ui/terminal-text.js";

type EventOf<T extends GenerationEvent["type"]> = Extract<GenerationEvent, { type: T }>;
export type EndEvent = EventOf<"end">;

/**
 * Streams the answer to stdout, unless it goes into JSON at the end. Text gets a newline after it, as files want it;
 * no text, no newline. Without a tokenizer the answer is ids, one a line.
 */
export async function writeAnswer(
  events: AsyncIterable<GenerationEvent>,
  pair: Pick<LoadedPair, "tokenizer">,
  flags: Flags,
  progress: Progress,
): Promise<EndEvent> {
  const chalk = colours(flags.color, process.stdout);
  const hidden = flags.json === true || isFile(process.stdout.fd);
  let count = 0;
  for await (const event of events) {
    switch (event.type) {
      case "prefill":
        progress.say(`reading the prompt, ${event.done} of ${event.total} tokens`);
        break;
      case "tokens":
        count += event.ids.length;
        // A spinner beside the answer would tear it.
        if (hidden) progress.say(`writing, ${count} tokens`);
        else progress.stop();
        if (!flags.json)
          await write(pair.tokenizer ? shown(event) : event.ids.map((id) => `${id}\n`).join(""));
        break;
      case "end":
        if (!flags.json && event.text !== "" && !event.text.endsWith("\n")) await write("\n");
        return event;
    }
  }
  throw new Error("the generation ended without its end event");

  function shown({ pieces }: EventOf<"tokens">): string {
    return pieces
      .map(({ text, drafted }) => {
        const clean = shownOn(process.stdout, text);
        return flags.showDrafts && drafted ? chalk.green(clean) : clean;
      })
      .join("");
  }
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}
