// llama.cpp's own benchmark on the same file: a check of what our driver of it measures.
import { checkpointFor } from "./checkpoints.mjs";
import { command } from "./setup.mjs";

/** Its figures as a line, or why there are none; nothing where llama.cpp takes no part. */
export async function llamaBench(model, weights, context) {
  if (!context.llama) return undefined;
  try {
    const { target } = await checkpointFor("llama.cpp", model, weights, context);
    const [prompt, tokens, runs] = context.quick ? [64, 8, 1] : [512, 64, context.repetitions];
    const args = ["-m", target, "-p", prompt, "-n", tokens, "-r", runs, "-t", context.threads, "-o", "json"];
    const { stdout } = await command(context.llama.program("llama-bench"), args.map(String));
    const figures = JSON.parse(stdout).map(
      ({ n_prompt: p, avg_ts: rate }) => `${p > 0 ? `prefill of ${p}` : "plain"} ${rate.toFixed(1)} tok/s`,
    );
    return `llama-bench on the same file: ${figures.join(", ")} (means)`;
  } catch (error) {
    return `llama-bench: ${error.message}`;
  }
}
