import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../../errors.js";
import type { Answer } from "./failures.js";

/** @throws MlxGemmaError `aborted` */
export function throwIfDownloadAborted(signal: AbortSignal | undefined): void {
  throwIfAborted(signal, "the download was aborted; run again: it goes on where it stopped");
}

/** Waits. @param seconds how long @throws MlxGemmaError `aborted` at once when the signal fires */
export async function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(seconds * 1000, undefined, signal ? { signal } : {});
  } catch (error) {
    throwIfDownloadAborted(signal);
    throw error;
  }
}

/**
 * Seconds that an answer asks to wait: `Retry-After` (seconds or a date), else the hub's `RateLimit: "api";r=0;t=55`.
 * https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function waitAsked(answer: Pick<Answer, "header">, now = Date.now()): number | undefined {
  const after = answer.header("retry-after")?.trim();
  if (after !== undefined) {
    if (/^\d{1,9}(?:\.\d+)?$/.test(after)) return Number(after);
    const date = Date.parse(after);
    if (!Number.isNaN(date)) return Math.max(0, (date - now) / 1000);
  }
  const reset = /;\s*t\s*=\s*(\d{1,9})/.exec(answer.header("ratelimit") ?? "")?.[1];
  return reset === undefined ? undefined : Number(reset);
}
