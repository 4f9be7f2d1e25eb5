// One set-up at a time in a clone: `npm ci` in one terminal and `npm run build` in another must not mix their files.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./tell.mjs";

export async function withLock(root, work) {
  const folder = join(root, "build");
  await mkdir(folder, { recursive: true });
  const file = join(folder, ".setup.lock");
  let told = false;
  while (!(await take(file))) {
    if (!told) say(`waiting for another set-up of this folder to end (if there is none: rm "${file}")`);
    told = true;
    await sleep(500);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function take(file) {
  try {
    await writeFile(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const owner = Number(await readFile(file, "utf8").catch(() => ""));
  // An owner of 0 is a lock that is being written or was cut off in the middle; it gets one more look.
  if (owner === 0) await sleep(1000);
  const still = Number(await readFile(file, "utf8").catch(() => ""));
  if (still !== owner || alive(owner)) return false;
  await rm(file, { force: true });
  return take(file);
}

function alive(pid) {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
