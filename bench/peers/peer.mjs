// The near end of a peer: a child process that answers JSON lines. Requests, all with `op`:
//   load     target, assistant?, dtype, threads, contextLength → ms (models read and one token evaluated)
//   plain    prompt, tokens              → ids, prefillMs, decodeMs (from the first token to the last)
//   drafted  prompt, tokens, draftTokens → ids, decodeMs, rounds, proposed, accepted
//   prefill  prompt                      → ms
//   step     prompt, rows, repeat        → ms of each step of `rows` tokens after the prompt
//   draft    prompt, draftTokens, repeat → ms of each draft step: a round's ÷ draftTokens
// Greedy, ids in and ids out, end-of-sequence tokens ignored. An answer with `error` is a failure.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** What a peer's failure carries: the end of what it wrote to stderr. */
const KEPT_LINES = 8;

export class Peer {
  /**
   * @param name as in tables
   * @param command program and arguments
   */
  constructor(name, [program, ...args], { env } = {}) {
    this.name = name;
    this.child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    this.waiting = undefined;
    this.lastLines = [];
    this.gone = undefined;
    createInterface({ input: this.child.stdout }).on("line", (line) => this.#answer(line));
    createInterface({ input: this.child.stderr }).on("line", (line) => {
      this.lastLines = [...this.lastLines, line].slice(-KEPT_LINES);
    });
    this.child.stdin.on("error", () => {}); // Told by "exit".
    this.child.on("error", (error) => this.#end(`can't be started: ${error.message}`));
    this.child.on("exit", (code, signal) =>
      this.#end(`ended (${signal ?? code}) ${this.lastLines.join(" | ")}`),
    );
  }

  /** @throws Error with the peer's own words */
  ask(request) {
    if (this.gone) return Promise.reject(new Error(this.gone));
    if (this.waiting) return Promise.reject(new Error(`${this.name} is busy`));
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Ends the process and waits for it. */
  async close() {
    if (this.gone) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill(), 10_000);
    await ended;
    clearTimeout(timer);
  }

  #answer(line) {
    let answer;
    try {
      answer = JSON.parse(line);
    } catch {
      this.lastLines.push(line); // A library that prints.
      return;
    }
    const waiting = this.waiting;
    this.waiting = undefined;
    if (answer.error) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer);
  }

  #end(reason) {
    this.gone ??= `${this.name} ${reason}`;
    this.waiting?.reject(new Error(this.gone));
    this.waiting = undefined;
  }
}
