import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { REPO } from "../checkpoint/hub/download-fixture.js";
import { ROOT } from "../cli/helpers.js";
import { hubFixture } from "../cli/hub-fixture.js";

const ID = "google/gemma-4-E2B-it";
const fix = hubFixture();

/** Not spawnSync: the hub is a server of this process. */
function pullBehind(line: string): Promise<{ code: number | string | null; stdout: string; stderr: string }> {
  const words = ["-c", line, "sh", process.execPath, `${ROOT}bin/mlx-gemma.js`, "pull", ID];
  const env = { ...process.env, ...fix.env, MLX_GEMMA_CONFIG: "none" };
  return new Promise((resolve) => {
    execFile("sh", words, { env }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? null) : 0, stdout, stderr }),
    );
  });
}

const files = () => readdirSync(fix.cache, { recursive: true, encoding: "utf8" });

it("a download that may not grow (ulimit -f) is one line, and the next pull brings all", async () => {
  const commit = fix.hub.add(ID, REPO);
  const cut = await pullBehind('ulimit -f 4; "$@"');
  expect(cut).toMatchObject({ code: 10, stdout: "" });
  expect(cut.stderr).toMatch(
    /\nmlx-gemma: [^\n]*found a file that may not grow further \(ulimit -f\);[^\n]*\n$/,
  );
  expect(files().filter((name) => /snapshots.*model\.safetensors/.test(name))).toEqual([]);
  expect(await pullBehind('"$@"')).toMatchObject({ code: 0, stdout: expect.stringContaining(commit) });
  expect(files().filter((name) => /snapshots.*model\.safetensors/.test(name))).toHaveLength(1);
  expect(files().filter((name) => name.endsWith(".incomplete"))).toEqual([]);
});
