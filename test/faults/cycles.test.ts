import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("cycles/main.mjs", import.meta.url));

function cycles(count: number, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "--cycles", String(count), ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

// `npm run faults:cycles` is the same a thousand times.
it("twenty pairs, loaded and disposed, give back every array, all of MLX's memory, files and threads", () => {
  const { status, stdout } = cycles(20);
  expect(stdout).toMatch(/^RSS .* MiB after 20\n\{"what":"cycles","tried":20,"failed":0,/);
  expect(status).toBe(0);
}, 600_000);

it.each([
  [
    "pair",
    /^liveArrays: expected 0, found \d+ after 1 cycles\nactive: expected 0, found \d{7,} after 1 cycles\n/,
  ],
  ["handle", /^liveArrays: expected 0, found 1 after 1 cycles\n/],
])("a %s that is kept is found", (plant, fault) => {
  const { status, stdout } = cycles(4, "--plant", plant);
  expect(stdout).toMatch(fault);
  expect(status).toBe(1);
});
