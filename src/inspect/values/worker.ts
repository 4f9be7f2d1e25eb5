import { parentPort } from "node:worker_threads";
import { MlxGemmaError } from "../../errors.js";
import { type Request, type Response, runTask } from "./tasks.js";

// A thread of the pool: tasks in, sums out.
parentPort?.on("message", async ({ id, task }: Request) => {
  let response: Response;
  try {
    response = { id, result: await runTask(task) };
  } catch (error) {
    // An error of ours loses its class on the way; its code and message are what counts.
    response =
      error instanceof MlxGemmaError
        ? { id, flaw: { code: error.code, message: error.message } }
        : { id, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  const moved =
    "result" in response && "patterns" in response.result
      ? [response.result.patterns.buffer, response.result.columns.buffer, response.result.rows.buffer]
      : [];
  parentPort?.postMessage(response, moved);
});
