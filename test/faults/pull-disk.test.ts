import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { REPO } from "../checkpoint/hub/download-fixture.js";
import { ROOT } from "../cli/helpers.js";
import { hubFixture } from "../cli/hub-fixture.js";
import { NO_MOUNT } from "./small-disk.js";

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

// Room for so many files and folders, so that the disk is full at one place of a pull after the other.
it.skipIf(NO_MOUNT)(
  `a download to a disk that is full is one line, wherever it is${NO_MOUNT ? ` (${NO_MOUNT})` : ""}`,
  async () => {
    fix.hub.add(ID, REPO);
    const codes: unknown[] = [];
    for (let files = 2; codes.at(-1) !== 0 && files < 100; files += 3) {
      const look = `find -L ${fix.cache} -name "*.lock" -o -path "*snapshots*.safetensors" -size -390k`;
      const script = `mount -t tmpfs -o size=100m,nr_inodes=${files} none ${fix.cache}; "$@"; code=$?; ${look} >&2; exit $code`;
      const { code, stderr } = await pullBehind(`unshare -rm sh -c '${script}' sh "$@"`);
      codes.push(code);
      if (code === 0) continue;
      // Node's recursive mkdir says ENOENT where the system said ENOSPC.
      expect(stderr, `${files} files`).toMatch(
        /(^|\n)mlx-gemma: [^\n]*found (the disk full|that it can't be \(ENOENT\))[^\n]*\n$/,
      );
      expect(code).toBe(10);
    }
    expect(codes.length).toBeGreaterThan(5);
    expect(codes.at(-1)).toBe(0);
  },
);
