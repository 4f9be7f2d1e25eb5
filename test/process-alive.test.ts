import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { replaceFile } from "../src/cli/output-file.js";
import { hasEnded, machine, ownerTag, tagHasEnded } from "../src/process-alive.js";
import { temporaryFolder } from "./checkpoint/helpers.js";

/** The process id of nobody. */
const nobody = spawnSync(process.execPath, ["-e", ""]).pid;
const elsewhere = "0123456789ab";

describe("whether a process has ended", () => {
  it.each([
    ["itself", machine(), process.pid, false],
    ["one that is gone", machine(), nobody, true],
    ["one of another machine", `${machine()} other`, nobody, false],
  ])("is known of %s", (_, machine, pid, ended) => {
    expect(hasEnded({ machine, pid })).toBe(ended);
  });

  it("is known by the tag in a file's name", () => {
    expect([ownerTag(), ownerTag(nobody), `${elsewhere}-${nobody}`].map(tagHasEnded)).toEqual([
      false,
      true,
      false,
    ]);
  });

  it("decides which partial files are removed", () => {
    const folder = temporaryFolder();
    const stays = [`out.json.${elsewhere}-${nobody}.partial`, `out.json.${ownerTag(process.ppid)}.partial`];
    const others = [`out.json.x.${ownerTag(nobody)}.partial`, `other.${ownerTag(nobody)}.partial`];
    for (const name of [...stays, ...others, `out.json.${ownerTag(nobody)}.partial`])
      writeFileSync(join(folder, name), "");
    replaceFile(join(folder, "out.json"), "{}");
    expect(readdirSync(folder)).toEqual(["out.json", ...stays, ...others].sort());
  });
});
