import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { z } from "zod";

const CHILD = "test/support/worst-case-child.mjs";
const forms = [...readFileSync(CHILD, "utf8").matchAll(/^ {2}"(an? .*?)":/gm)].flatMap(
  ([, form]) => form ?? [],
);
const outcome = z.object({ seconds: z.number(), megabytes: z.number(), found: z.string() });

it("has a file for every kind of limit", () => {
  expect(forms.length).toBeGreaterThanOrEqual(12);
});

// Seconds of the processor, which others on the machine don't lengthen. docs/reliability.md names both bounds.
it.each(forms)("the worst that the limits let pass, %s, takes less than 2 s and 512 MB", (form) => {
  const { seconds, megabytes, found } = outcome.parse(
    JSON.parse(execFileSync(process.execPath, [CHILD, form], { encoding: "utf8" })),
  );
  expect(found).toMatch(/^(nothing wrong|checkpoint: |unsupported: )/);
  expect(seconds).toBeLessThan(2);
  expect(megabytes).toBeLessThan(512);
});
