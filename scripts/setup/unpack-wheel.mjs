// Lays MLX beside the addon: build/Release/mlx (library, headers) and the folders of libraries that it brings.
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { replaceFolder, run, temporary } from "./run.mjs";
import { Lack, say } from "./tell.mjs";

/** Returns MLX's root folder. Does nothing when this very wheel is there already. */
export async function unpackWheel(wheel, fetchFile, root) {
  const release = join(root, "build", "Release");
  const mlx = join(release, "mlx");
  const stamp = join(mlx, ".wheel");
  // The stamp: which wheel, then the folders that came with it.
  const [was, ...placed] = (await readFile(stamp, "utf8").catch(() => "")).trim().split("\n");
  const id = `${wheel.file} sha256:${wheel.sha256}`;
  if (was === id && placed.length > 0 && placed.every((name) => existsSync(join(release, name)))) return mlx;

  const file = await fetchFile(wheel);
  say("unpacking MLX beside the addon");
  const work = temporary(join(release, "unpacking"));
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  // A wheel is a zip archive. `unzip` may be missing, CMake is there anyway.
  const { code, lines } = await run("cmake", ["-E", "tar", "xf", file], { cwd: work });
  if (code !== 0) {
    await rm(work, { recursive: true, force: true });
    throw new Lack(
      `${file} could not be unpacked (${lines.at(-1)})`,
      `df -h "${dirname(release)}" && npm run build`,
    );
  }
  const folders = (await readdir(work)).filter((name) => !name.endsWith(".dist-info"));
  await writeFile(join(work, "mlx", ".wheel"), [id, ...folders, ""].join("\n"));
  // mlx goes last: its stamp then says that all of them are in place.
  folders.sort((a, b) => Number(a === "mlx") - Number(b === "mlx"));
  for (const name of folders) await replaceFolder(join(work, name), join(release, name));
  await rm(work, { recursive: true, force: true });
  return mlx;
}
