// Runs child.mjs and hands its lines on.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url));
/**
 * V8 lets its young generation grow to 3 × 16 MiB as it sees fit, by the clock too: a step of 17 MB after 170 generations here, and
 * at another time on another machine. With 3 × 2 MiB it is there from the beginning, and what grows is a leak.
 */
const FLAGS = ["--expose-gc", "--max-semi-space-size=2"];

/**
 * @param plan { cycles | tokens, maxTokens, threads, plant }
 * @param onLine gets each line as it comes
 * @returns all lines: `start`, a `cycle` each, `end`
 */
export async function longRun(plan, onLine = () => {}) {
  const args = [...FLAGS, CHILD, JSON.stringify(plan)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
  const lines = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text);
    lines.push(line);
    if (onLine(line) === "enough") child.kill();
  }
  const how = await ended;
  if (how !== 0 && how !== "SIGTERM") throw new Error(`expected the long run to end by itself, found ${how}`);
  return lines;
}
