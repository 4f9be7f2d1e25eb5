// Gives a target its inputs: `child.mjs <target> <seed> <from> <to> <step>`. A line of JSON every `step` inputs says how far it
// is, so that whoever watches knows which input ended the process, and how many were refused, by code; the last has the finding.
import { MlxGemmaError } from "../../../dist/errors.js";
import { corpusOf, inputOf, TARGETS } from "./targets.mjs";

const LIMIT_MS = 2000;
const [target, seed, from, to, step] = process.argv
  .slice(2, 7)
  .map((text, i) => (i === 0 ? text : Number(text)));
const corpus = corpusOf(target);
const found = { taken: 0, refused: {}, slowestMs: 0 };

for (let index = from; index < to; index++) {
  if ((index - from) % step === 0) tell({ at: index, ...done() });
  const input = inputOf(target, corpus, seed, index);
  const start = performance.now();
  const cpu = process.cpuUsage();
  const flaw = await flawOf(input);
  // Of the processor, too: on a busy machine time passes without us.
  const { user, system } = process.cpuUsage(cpu);
  const ms = Math.min(
    performance.now() - start,
    target === "template" ? Number.POSITIVE_INFINITY : (user + system) / 1000,
  );
  found.slowestMs = Math.max(found.slowestMs, Math.round(ms));
  const slow = target !== "template" && ms > LIMIT_MS ? `took ${Math.round(ms)} ms` : undefined;
  if (flaw ?? slow) {
    tell({ ...done(), finding: { index, what: flaw ?? slow } });
    process.exit(0);
  }
}
tell(done());

/** What is wrong with how an input was taken or refused; undefined: nothing. */
async function flawOf(input) {
  try {
    await TARGETS[target](input);
    found.taken++;
  } catch (error) {
    if (!(error instanceof MlxGemmaError)) return error instanceof Error ? error.stack : String(error);
    if (/[\r\n]/.test(error.message) || error.message.length > 1500) return `no clear line: ${error.message}`;
    if (!["checkpoint", "unsupported", "usage"].includes(error.code)) return `the code ${error.code}`;
    found.refused[error.code] = (found.refused[error.code] ?? 0) + 1;
  }
  return undefined;
}

function done() {
  return { ...found, maxRssMb: Math.round(process.resourceUsage().maxRSS / 1024) };
}

function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
