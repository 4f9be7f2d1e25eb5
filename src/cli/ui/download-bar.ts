import type { HubProgress } from "../../checkpoint/hub/index.js";
import { duration, size } from "../../units.js";
import type { Progress } from "./progress.js";

/** Shows a download: a bar where there is a terminal, else a line for each file. */
export interface DownloadBar {
  readonly on: (event: HubProgress) => void;
  /** Ends its updates; the line itself belongs to the progress. */
  stop(): void;
}

/** Between two pictures. */
const FRAME_MS = 100;
/** Speed is that of the last so many milliseconds; before half of it nothing is said. */
const WINDOW_MS = 5000;
const MEASURABLE_MS = 1000;

/** Opens a bar on a progress. @param now milliseconds of a clock that never goes back */
export function downloadBar(progress: Progress, now: () => number = () => performance.now()): DownloadBar {
  let id = "";
  const files = new Map<string, { readonly bytes: number; readonly had: number; done: number }>();
  const samples: { readonly at: number; readonly done: number }[] = [];
  const waiting = new Map<string, string>();
  let drawn = Number.NEGATIVE_INFINITY;

  const total = () => sum((file) => file.bytes);
  const done = () => sum((file) => file.done);
  const sum = (of: (file: { bytes: number; done: number }) => number) =>
    [...files.values()].reduce((all, file) => all + of(file), 0);

  const draw = (now: number) => {
    if (!progress.live || files.size === 0) return;
    drawn = now;
    const come = done();
    samples.push({ at: now, done: come });
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > WINDOW_MS) samples.shift();
    progress.say(
      picture({
        name: id,
        done: come,
        total: total(),
        speed: speedOf(samples),
        reason: [...waiting.values()].at(-1),
        columns: process.stderr.columns || 80,
      }),
    );
  };
  const timer = setInterval(() => draw(now()), 5 * FRAME_MS);
  timer.unref();

  return {
    on(event) {
      switch (event.type) {
        case "plan": {
          id = event.id;
          for (const { name, bytes, had } of event.files) {
            files.set(name, { bytes, had, done: files.get(name)?.done ?? had });
          }
          // A jump of what is known to be there is no speed.
          samples.length = 0;
          const left = [...files.values()].filter((file) => file.done < file.bytes).length;
          if (!progress.live && left > 0) {
            progress.line(
              `downloading ${id}: ${size(total() - done())} in ${left} ${left === 1 ? "file" : "files"}`,
            );
          }
          break;
        }
        case "bytes": {
          const file = files.get(event.name);
          // A file that starts anew, or that another process brought: no speed either.
          if (file && (event.done < file.done || event.done - file.done > 64e6)) samples.length = 0;
          if (file) file.done = event.done;
          waiting.delete(event.name);
          waiting.delete("");
          break;
        }
        case "done": {
          const file = files.get(event.name);
          waiting.delete(event.name);
          if (file && file.had < file.bytes && !progress.live) {
            progress.line(`${event.name}, ${size(file.bytes)}`);
          }
          if (file) files.set(event.name, { ...file, had: file.bytes, done: file.bytes });
          break;
        }
        case "waiting": {
          const text = event.name === undefined ? event.reason : `${event.name}: ${event.reason}`;
          waiting.set(event.name ?? "", text);
          if (!progress.live) progress.note(text);
          break;
        }
      }
      if (now() - drawn >= FRAME_MS || event.type !== "bytes") draw(now());
    },
    stop() {
      clearInterval(timer);
    },
  };
}

/** Bytes a second, once there is something to measure. */
function speedOf(samples: readonly { readonly at: number; readonly done: number }[]): number | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.at - first.at < MEASURABLE_MS) return undefined;
  return ((last.done - first.done) * 1000) / (last.at - first.at);
}

/** What a bar shows. */
export interface Picture {
  readonly name: string;
  readonly done: number;
  readonly total: number;
  /** Bytes a second; undefined: not known yet. */
  readonly speed: number | undefined;
  /** Why something waits. */
  readonly reason: string | undefined;
  readonly columns: number;
}

/** One line. What does not fit in the columns is left out, the least needed first. */
export function picture({ name, done, total, speed, reason, columns }: Picture): string {
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const percent = `${Math.floor(share * 100)}%`;
  const amount = `${size(done)} of ${size(total)}`;
  const pace = speed === undefined ? [] : [`${size(speed)}/s`];
  const left =
    speed !== undefined && speed > 0 && done < total ? [`${duration((total - done) / speed)} left`] : [];
  const why = reason === undefined ? [] : [reason];
  const room = columns - 4;
  const variants = [
    [name, bar(share, 20), percent, amount, ...pace, ...left, ...why],
    [name, bar(share, 20), percent, amount, ...pace, ...left],
    [name, bar(share, 10), percent, amount, ...pace, ...left],
    [name, percent, amount, ...pace, ...left],
    [percent, amount, ...pace, ...left],
    [percent, ...pace, ...left],
    [percent],
  ].map((parts) => parts.join("  "));
  return variants.find((text) => text.length <= room) ?? percent;
}

function bar(share: number, width: number): string {
  const full = Math.floor(share * width);
  return "█".repeat(full) + "░".repeat(width - full);
}
