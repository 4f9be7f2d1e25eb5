import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { ROOT } from "../cli/helpers.js";

// A thread of a user's program: it loads, answers, tells its ids; "on" asks for an answer that never ends, and tells of its begin.
const THREAD = `
import { parentPort, workerData } from "node:worker_threads";
import { generate, load } from "mlx-gemma";
export async function answer(maxTokens, onTokens = () => {}) {
  const pair = await load({ draft: "assistant", threads: 1 });
  const promptIds = await pair.encodePrompt("Tell me a story about a fox.");
  const ids = [];
  for (;;) {
    for await (const event of generate(pair, { promptIds, maxTokens, ignoreEos: true })) {
      if (event.type === "tokens") ids.push(...event.ids);
      onTokens(ids.length);
    }
    if (maxTokens < 100) break;
  }
  pair[Symbol.dispose]();
  return ids.join(" ");
}
if (workerData === "on") await answer(400, (count) => count > 0 && parentPort.postMessage("begun"));
if (workerData === "once") parentPort.postMessage(await answer(40));
`;
const url = `data:text/javascript,${encodeURIComponent(THREAD.replace('"mlx-gemma"', JSON.stringify(new URL("dist/index.js", `file://${ROOT}`).href)))}`;

/** Runs a program that has \`answer\`, and \`thread(what)\`, whose next message \`heard\` waits for. */
function program(body: string) {
  const source = `
    import { Worker } from "node:worker_threads";
    import { answer } from ${JSON.stringify(url)};
    const thread = (workerData) => new Worker(new URL(${JSON.stringify(url)}), { workerData });
    const heard = (worker) => new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    ${body}`;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", source],
    {
      cwd: ROOT,
      encoding: "utf8",
      timeout: 60_000,
    },
  );
  return { status, signal, stdout, stderr };
}

const quiet = { signal: null, stderr: "" };

describe("the library in threads", { timeout: 90_000 }, () => {
  it("answers in workers as in the program's own thread, all at once", () => {
    const body = `
      const answers = await Promise.all([answer(40), heard(thread("once")), heard(thread("once"))]);
      console.log(new Set(answers).size, answers[0].split(" ").length);`;
    expect(program(body)).toEqual({ ...quiet, status: 0, stdout: "1 40\n" });
  });

  it("lets a worker be ended in the middle of its generation, and goes on", () => {
    const body = `
      const before = await answer(40);
      for (let i = 0; i < 3; i++) {
        const worker = thread("on");
        await heard(worker);
        await worker.terminate();
      }
      console.log(before === (await answer(40)));`;
    expect(program(body)).toEqual({ ...quiet, status: 0, stdout: "true\n" });
  });

  it.each([
    ["in the program's own thread", `await answer(400, (count) => count > 50 && process.exit(7));`],
    ["while a worker generates", `await heard(thread("on")); process.exit(7);`],
    ["from a timer", `setTimeout(() => process.exit(7), 1500); await answer(400);`],
  ])("process.exit in the middle of a generation ends the process: %s", (_, body) => {
    expect(program(body)).toEqual({ ...quiet, status: 7, stdout: "" });
  });
});
