import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ROOT } from "./cli/helpers.js";

/** What each example has to print on the embedded pair. */
const SHOWN: Readonly<Record<string, RegExp>> = {
  "stream.mjs": /fox[\s\S]*\n\n\d+ tokens, \d+\.\d\d a step; ended by: (eos|max tokens)\n$/,
  "chat.mjs":
    /\(0 of \d+ prompt[\s\S]*> What did the fox eat\?\n[\s\S]*\([1-9]\d* of \d+ prompt[\s\S]*\([1-9]\d* of \d+ prompt/,
  "drafting.mjs":
    /^(K = [136]: \d\.\d\d x plain, [1-7]\.\d\d tokens a step, the same ids; exact: by construction\n){3}$/,
};

describe("examples", () => {
  const files = readdirSync(`${ROOT}examples`).filter((name) => name.endsWith(".mjs"));

  it("are those that are tested", () => {
    expect(files.sort()).toEqual(Object.keys(SHOWN).sort());
  });

  it.each(files)("%s runs", (name) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${ROOT}examples/${name}`], {
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(SHOWN[name] ?? /^$/);
  });
});
