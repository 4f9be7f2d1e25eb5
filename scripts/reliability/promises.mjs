// The rows of `npm run reliability`. A program's last line is {"what", "tried", "failed", "seconds"} as JSON; vitest counts tests.

/**
 * @typedef {object} Promise
 * @property {string} promise as docs/reliability.md says it
 * @property {string} command the npm script, or the vitest files
 * @property {string} saved what the files of its saved rows begin with
 * @property {string} unit what is counted
 * @property {string[]} program the script's file
 * @property {string[]} short its arguments for a minute or so; about what `npm test` runs
 * @property {string[]} nightly its arguments for a night
 * @property {string} ci where `npm test` runs the short form: a vitest file, or a script that is a step of it
 */
const VITEST = "node_modules/vitest/vitest.mjs";

/** @type {Promise[]} */
export const PROMISES = [
  {
    promise: "drafted text is plain text, on random pairs",
    command: "npm run fuzz:generation",
    saved: "generation",
    unit: "pairs",
    program: ["test/fuzz/generation/main.mjs"],
    short: ["--runs", "200"],
    nightly: ["--runs", "10000"],
    ci: "test/fuzz/generation/generation.test.ts",
  },
  {
    promise: "drafted text is plain text, in every dtype and packing",
    command: "npm run fuzz:tokens",
    saved: "tokens-embedded",
    unit: "tokens",
    program: ["test/fuzz/tokens/main.mjs"],
    short: ["--prompts", "24", "--tokens", "30"],
    nightly: [],
    ci: "test/fuzz/tokens/tokens.test.ts",
  },
  {
    promise: "sampled text has the target's distribution",
    command: "npm run fuzz:sampling",
    saved: "sampling",
    unit: "tests",
    program: ["test/fuzz/sampling/main.mjs"],
    short: ["--seeds", "200"],
    nightly: ["--seeds", "1000"],
    ci: "test/fuzz/sampling/sampling.test.ts",
  },
  {
    promise: "hostile files are taken or refused in one line",
    command: "npm run fuzz:files",
    saved: "files",
    unit: "files",
    program: ["scripts/fuzz-files.mjs"],
    short: ["--count", "16000"],
    nightly: ["--count", "1000000"],
    ci: "test/fuzz/files.test.ts",
  },
  {
    promise: "a command that is killed loses nothing and leaves nothing half written",
    command: "npm run faults:kills",
    saved: "kills",
    unit: "kills",
    program: ["test/faults/kills/main.mjs"],
    short: ["--kills", "8"],
    nightly: ["--kills", "200"],
    ci: "test/faults/kills.test.ts",
  },
  {
    promise: "memory, handles and files stay flat",
    command: "npm run faults:long-run",
    saved: "long-run",
    unit: "tokens",
    program: ["test/faults/long-run/main.mjs"],
    short: ["--tokens", "20000"],
    nightly: ["--tokens", "1000000"],
    ci: "test/memory.test.ts",
  },
  {
    promise: "a pair that is disposed gives everything back",
    command: "npm run faults:cycles",
    saved: "cycles",
    unit: "pairs",
    program: ["test/faults/cycles/main.mjs"],
    short: ["--cycles", "20"],
    nightly: ["--cycles", "1000"],
    ci: "test/faults/cycles.test.ts",
  },
  vitest("warnings", "what is worse than asked is told, or refused with --strict", [
    "test/warnings.test.ts",
    "test/cli/warnings.test.ts",
    "test/choose-assistant.test.ts",
    "test/checkpoint/known-keys.test.ts",
  ]),
  vitest("hostile-checkpoints", "known hostile checkpoints, tokenizers and templates", [
    "test/checkpoint/safetensors.test.ts",
    "test/checkpoint/folders.test.ts",
    "test/checkpoint/config.test.ts",
    "test/checkpoint/mutations.test.ts",
    "test/checkpoint/special-files.test.ts",
    "test/text/tokenizer.test.ts",
    "test/text/chat-template.test.ts",
  ]),
  vitest("hostile-hub", "a hub server's hostile answers", [
    "test/checkpoint/hub/hostile.test.ts",
    "test/checkpoint/hub/network.test.ts",
  ]),
  {
    promise: "kernels and threads touch only their own memory, and at the right time",
    command: "npm run test:sanitizers",
    saved: "sanitizers",
    unit: "runs",
    program: ["scripts/sanitizers.mjs"],
    short: ["--only", "address"],
    nightly: ["--nightly"],
    ci: "scripts/sanitizers.mjs",
  },
];

/** Where vitest has all there is, the short form is also the long one. */
function vitest(saved, promise, files) {
  return {
    promise,
    command: files.map((file) => `\`${file}\``).join(", "),
    saved,
    unit: "tests",
    program: [VITEST, "run", "--reporter=json", ...files],
    short: [],
    nightly: [],
    ci: files[0],
  };
}
