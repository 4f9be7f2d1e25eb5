import type { ErrorCode } from "../../errors.js";
import { type ErrorSums, type ErrorTask, errorSumsOf } from "./error-sums.js";
import { type Moments, type MomentsTask, momentsOf } from "./moments.js";

/** What a thread is asked for. */
export type Task = MomentsTask | ErrorTask;

/** A message to a thread. */
export interface Request {
  readonly id: number;
  readonly task: Task;
}

/** A thread's answer. */
export type Response =
  | { readonly id: number; readonly result: Moments | ErrorSums }
  | { readonly id: number; readonly flaw: { readonly code: ErrorCode; readonly message: string } }
  | { readonly id: number; readonly failure: string };

/** Does a task on this thread. */
export function runTask(task: Task): Promise<Moments | ErrorSums> {
  return "other" in task ? errorSumsOf(task) : momentsOf(task);
}
