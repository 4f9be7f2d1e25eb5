// How the set-up speaks: short lines on stderr, and one line with the mending command for whatever is missing.

/** Something that the set-up can't go on without; `mend` is the command (or the step) that mends it. */
export class Lack extends Error {
  constructor(what, mend, details = []) {
    super(what);
    this.mend = mend;
    this.details = details;
  }
}

export function say(line) {
  process.stderr.write(`mlx-gemma: ${line}\n`);
}

export function sayLack(lack) {
  for (const line of lack.details) process.stderr.write(`  | ${line}\n`);
  say(`${lack.message}. To mend it: ${lack.mend}`);
}
