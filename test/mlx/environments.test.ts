import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ADDON = fileURLToPath(new URL("../../build/Release/mlx_gemma.node", import.meta.url));

// A program that evaluates something long, in this thread (`run`) or in a worker.
const PRELUDE = `
const { Worker, isMainThread } = require("node:worker_threads");
const native = require(${JSON.stringify(ADDON)});
const heavy = () => {
  let x = native.ops.zeros([700, 700], "float32");
  for (let i = 0; i < 8; i++) x = native.ops.linear(x, x);
  return x;
};
const run = () => native.evaluate([[heavy()]]);
const source = ${JSON.stringify(`
const { parentPort } = require("node:worker_threads");
const native = require(${JSON.stringify(ADDON)});
(async () => {
  for (let turn = 0; ; turn++) {
    let x = native.ops.zeros([300, 300], "float32");
    for (let i = 0; i < 8; i++) x = native.ops.linear(x, x);
    const done = native.evaluate([[x]]);
    if (turn === 2) parentPort.postMessage(native.counters().evaluations);
    await done;
  }
})();
`)};
const worker = () => new Worker(source, { eval: true });
const busy = (w) => new Promise((resolve) => w.once("message", resolve));
`;

function program(body: string): {
  status: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
} {
  return spawnSync(process.execPath, ["-e", `${PRELUDE}(async () => { ${body} })();`], {
    encoding: "utf8",
    timeout: 60_000,
  });
}

describe("an environment", () => {
  it("ends by itself when the last evaluation is done", () => {
    expect(program(`run().then(() => console.log("done"));`)).toMatchObject({ status: 0, stdout: "done\n" });
  });

  it("can exit while evaluations run and wait", () => {
    const { status, signal, stderr } = program(`run(); run(); run(); setTimeout(() => process.exit(7), 10);`);
    expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: "" });
  });

  it("reports an uncaught error while one runs", () => {
    const { status, signal, stderr } = program(`run(); setTimeout(() => { throw new Error("boom"); }, 5);`);
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    expect(stderr).toContain("boom");
  });

  it("can be several: each worker has its own counters, and ends in the middle of an evaluation", () => {
    const body = `
      const workers = [worker(), worker()];
      const counts = await Promise.all(workers.map(busy));
      for (const each of workers) await each.terminate();
      await run();
      console.log(JSON.stringify([counts, native.counters().evaluations]));`;
    const { status, stdout, stderr } = program(body);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual([[3, 3], 1]);
  });

  it("ends with evaluations that wait, and others go on", async () => {
    const body = `
      const source = ${JSON.stringify(`${PRELUDE}for (let i = 0; i < 8; i++) run();
        require("node:worker_threads").parentPort.postMessage("begun");`)};
      for (let i = 0; i < 3; i++) {
        const worker = new Worker(source, { eval: true });
        await Promise.all([busy(worker), run()]);
        await worker.terminate();
      }
      await Promise.all([run(), run()]);
      console.log("done");`;
    expect(program(body)).toMatchObject({ status: 0, stdout: "done\n", stderr: "" });
  });

  it("can exit while a worker evaluates", () => {
    const { status, signal, stderr } = program(`await busy(worker()); run(); process.exit(3);`);
    expect({ status, signal, stderr }).toEqual({ status: 3, signal: null, stderr: "" });
  });
});
