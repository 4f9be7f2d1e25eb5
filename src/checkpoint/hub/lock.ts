import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, rename, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hasEnded, machine, type Owner } from "../../process-alive.js";
import type { Patience } from "./environment.js";
import { errorCode } from "./errors.js";
import { temporaryPath } from "./temporary.js";
import { pause } from "./waiting.js";

/** A file that says who downloads a blob. */
export interface BlobLock {
  /** Taken from an owner that showed no sign of life, but may wake up and write again. */
  readonly takenOver: boolean;
  /** Whether the lock is still ours: one that slept for long may have lost it. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

export interface LockOptions {
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
  /** Looked at while waiting: what another process does may make the lock needless. */
  readonly isDone: () => Promise<boolean>;
  /** Told once, with who has it. */
  readonly onWait: (owner: string) => void;
}

/** Of a lock. */
interface LockOwner extends Owner {
  readonly id: string;
}

/** Seconds between two looks at a lock that another has. */
const LOOK = 0.2;
/** A lock on the breaking of locks is held for a moment; older than this, its owner, wherever it is, died. */
const BREAKING_MS = 10_000;
/** What systems without hard links say. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

/**
 * Takes a lock, or waits for it. An owner on this machine that is dead loses it at once; any other one when its file
 * has shown no sign of life for `patience.stale` seconds of our own clock (clocks of two machines may differ).
 *
 * @returns undefined when `isDone` says that there is nothing left to do
 */
export async function takeLock(path: string, options: LockOptions): Promise<BlobLock | undefined> {
  const { patience, signal, isDone, onWait } = options;
  await mkdir(dirname(path), { recursive: true });
  const own = ownerHere();
  let takenOver = false;
  let seen = "";
  let since = 0;
  let told = false;
  while (!(await isDone())) {
    if (await create(path, JSON.stringify(own))) return heldLock(path, own, takenOver, patience);
    const found = await look(path);
    if (!found) continue;
    const { text } = found;
    const sign = `${text} ${found.mtimeMs}`;
    if (sign !== seen) {
      seen = sign;
      since = performance.now();
    }
    const owner = parseOwner(text);
    const dead = isDead(owner);
    if (dead || performance.now() - since > patience.stale * 1000) {
      if (await breakLock(path, text)) takenOver ||= !dead;
      continue;
    }
    if (!told)
      onWait(
        owner
          ? `process ${owner.pid}${owner.machine === own.machine ? "" : " elsewhere"}`
          : "another process",
      );
    told = true;
    await pause(LOOK, signal);
  }
  return undefined;
}

/** Whether a lock's owner seems to be alive: it gave a sign of life lately, and is no dead process of this machine. */
export async function isLocked(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats || Date.now() - stats.mtimeMs > BREAKING_MS) return false;
  const owner = parseOwner((await look(path))?.text ?? "");
  return !isDead(owner);
}

/** Removes the locks of a folder whose owners are dead, and what killed ones left of breaking a lock. */
export async function removeDeadLocks(folder: string): Promise<void> {
  const names = await readdir(folder);
  for (const name of names) if (name.endsWith(".lock.breaking")) await removeDeadGuard(join(folder, name));
  for (const name of names) {
    if (!name.endsWith(".mlx-gemma.lock")) continue;
    const path = join(folder, name);
    const text = (await look(path))?.text;
    if (text !== undefined && isDead(parseOwner(text))) await breakLock(path, text);
  }
}

const ownerHere = (): LockOwner => ({ pid: process.pid, machine: machine(), id: randomUUID() });

const isDead = (owner: LockOwner | undefined): boolean => owner !== undefined && hasEnded(owner);

function heldLock(path: string, own: LockOwner, takenOver: boolean, { beat }: Patience): BlobLock {
  const held = async () => parseOwner((await look(path))?.text ?? "")?.id === own.id;
  const timer = setInterval(() => {
    const now = new Date();
    // What can't be touched shows no sign of life: others may take it over, and `held` will tell.
    held()
      .then((ours) => (ours ? utimes(path, now, now) : undefined))
      .catch(() => {});
  }, beat * 1000);
  timer.unref();
  return {
    takenOver,
    held,
    async release() {
      clearInterval(timer);
      if (await held()) await unlink(path).catch(() => {});
    },
  };
}

/** Creates a file with a text, unless there is one; where there are links it is never there without its text. */
async function create(path: string, text: string): Promise<boolean> {
  const temporary = temporaryPath(dirname(path));
  try {
    await writeFile(temporary, text, { flag: "wx", mode: 0o664 });
    await link(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    if (!NO_LINKS.includes(errorCode(error))) throw error;
    return await createInPlace(path, text);
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

async function createInPlace(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx", mode: 0o664 });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** A lock's text, and the time of its last sign of life. */
async function look(path: string): Promise<{ readonly text: string; readonly mtimeMs: number } | undefined> {
  try {
    const text = await readFile(path, "utf8");
    return { text, mtimeMs: (await stat(path)).mtimeMs };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes a lock whose text is still the one that was judged. One process at a time, or two would both take it. */
async function breakLock(path: string, text: string): Promise<boolean> {
  const guard = `${path}.breaking`;
  if (!(await create(guard, JSON.stringify(ownerHere())))) {
    await removeDeadGuard(guard);
    await pause(LOOK / 4, undefined);
    return false;
  }
  try {
    if ((await look(path))?.text !== text) return false;
    await unlink(path);
    return true;
  } finally {
    await unlink(guard).catch(() => {});
  }
}

/** Removes the guard of a process that died while it broke a lock. */
async function removeDeadGuard(guard: string): Promise<void> {
  const found = await look(guard);
  if (!found) return;
  if (!isDead(parseOwner(found.text)) && Date.now() - found.mtimeMs <= BREAKING_MS) return;
  // Another may have removed it meanwhile and made its own, which must stay: a rename takes one or the other.
  const aside = temporaryPath(dirname(guard));
  try {
    await rename(guard, aside);
    if ((await look(aside))?.text !== found.text) await link(aside, guard).catch(() => {});
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  } finally {
    await unlink(aside).catch(() => {});
  }
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const { pid, machine: name, id } = JSON.parse(text);
    const fits = Number.isInteger(pid) && pid > 0 && typeof name === "string" && typeof id === "string";
    return fits ? { pid, machine: name, id } : undefined;
  } catch {
    return undefined;
  }
}
