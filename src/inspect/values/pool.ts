import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { MlxGemmaError, throwIfAborted } from "../../errors.js";
import type { ErrorSums } from "./error-sums.js";
import type { Moments } from "./moments.js";
import { type Request, type Response, runTask, type Task } from "./tasks.js";

/** Reads values and sums them up, on several threads. */
export interface ValuePool {
  /** Tasks that are worth having under way. */
  readonly width: number;
  /** Does a task. @throws MlxGemmaError as the reading does, or `aborted` once the pool is closed */
  run(task: Task): Promise<Moments | ErrorSums>;
  close(): Promise<void>;
}

/** More threads than this wait for the disk, not for each other. */
const MOST_THREADS = 8;
/** Bytes that are read sooner than threads start. */
const SMALL = 64 * 1024 * 1024;

/** Opens a pool for so many bytes in all: a few are read on this thread. @param threads instead of one for each core */
export function openPool(bytes: number, threads = Math.min(availableParallelism(), MOST_THREADS)): ValuePool {
  if (bytes < SMALL || threads === 0) return { width: 1, run: runTask, close: async () => {} };
  const waiting = new Map<
    number,
    { resolve: (value: Moments | ErrorSums) => void; reject: (error: Error) => void }
  >();
  const answer = (response: Response) => {
    const asked = waiting.get(response.id);
    waiting.delete(response.id);
    if ("result" in response) asked?.resolve(response.result);
    else if ("flaw" in response) asked?.reject(new MlxGemmaError(response.flaw.code, response.flaw.message));
    else asked?.reject(new Error(response.failure));
  };
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const workers = Array.from({ length: threads }, () =>
    new Worker(new URL("./worker.js", import.meta.url)).on("message", answer).on("error", fail),
  );
  let id = 0;
  return {
    width: 2 * threads,
    run: (task) =>
      new Promise((resolve, reject) => {
        id++;
        waiting.set(id, { resolve, reject });
        const request: Request = { id, task };
        workers[id % threads]?.postMessage(request);
      }),
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
      fail(new MlxGemmaError("aborted", "reading the weights was aborted"));
    },
  };
}

/** What one tensor, or a pair of them, needs: its tasks one after the other, and where their sums go. */
export interface Job {
  readonly values: number;
  readonly bytes: number;
  /** The task for the values from one on, and how many it takes. */
  next(from: number): { readonly task: Task; readonly values: number };
  /** Gets the sums of so many values, in the order of the tasks: the result does not depend on the threads. */
  take(sums: Moments | ErrorSums, values: number): void;
}

/**
 * Does all jobs.
 *
 * @param onBytes told the bytes that have been read since the last time
 * @throws MlxGemmaError of the first task that fails, or `aborted`
 */
export async function runJobs(
  jobs: readonly Job[],
  pool: ValuePool,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  for (const job of jobs) {
    let before = Promise.resolve();
    for (let from = 0; from < job.values; ) {
      throwIfAborted(signal, "reading the weights was aborted");
      const { task, values } = job.next(from);
      from += values;
      const taken = Promise.all([pool.run(task), before]).then(([sums]) => {
        job.take(sums, values);
        onBytes((values / job.values) * job.bytes);
        underWay.delete(taken);
      });
      // Whoever waits for it hears of its failure; nobody may.
      taken.catch(() => {});
      underWay.add(taken);
      before = taken;
      if (underWay.size >= pool.width) await Promise.race(underWay);
    }
  }
  await Promise.all(underWay);
}
