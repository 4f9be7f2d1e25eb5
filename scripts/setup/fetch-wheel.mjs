// Gets the pinned MLX wheel into the user's cache folder, so that a second clone downloads nothing.
// pip comes first, because the user's own index, proxy and certificate settings hold there; HTTPS is the fallback.
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { commandFor } from "./prerequisites.mjs";
import { ask, run, sha256 } from "./run.mjs";
import { Lack, say } from "./tell.mjs";

export function cacheFolder(env = process.env) {
  const base =
    env.XDG_CACHE_HOME ||
    (process.platform === "darwin" ? join(homedir(), "Library", "Caches") : join(homedir(), ".cache"));
  return join(base, "mlx-gemma", "mlx");
}

/** The path of the verified wheel. The hash is checked on every use, not only after a download. */
export async function fetchWheel(wheel) {
  const folder = cacheFolder();
  const cached = join(folder, wheel.file);
  if (await exists(cached)) {
    if ((await sha256(cached)) === wheel.sha256) return cached;
    say(`${cached} is damaged: fetching it again`);
    await rm(cached, { force: true });
  }
  await mkdir(folder, { recursive: true }).catch((error) => {
    throw new Lack(
      `the cache folder can't be made (${error.message})`,
      "XDG_CACHE_HOME=<folder> npm run build",
    );
  });
  // A folder of this process's own: two installs at once each fetch a whole file, and the last rename wins.
  const work = await mkdtemp(join(folder, ".fetch-"));
  try {
    say(`fetching MLX ${wheel.version} (${wheel.file})`);
    const fetched = join(work, wheel.file);
    const python = findPip();
    const pipTrouble = python ? await fetchByPip(python, wheel, work) : "pip is not installed";
    if (pipTrouble !== undefined) await fetchByHttps(wheel, fetched, pipTrouble, python !== undefined);
    const found = await sha256(fetched);
    if (found !== wheel.sha256) throw wrongHash(wheel, found);
    await rename(fetched, cached);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return cached;
}

function findPip() {
  return ["python3", "python"].find((python) => ask(python, ["-m", "pip", "--version"]) !== undefined);
}

/** Undefined when the wheel is there; else what pip said. A wrong hash is never worth a second source. */
async function fetchByPip(python, wheel, work) {
  const requirements = join(work, "requirements.txt");
  await writeFile(requirements, `${wheel.package}==${wheel.version} --hash=sha256:${wheel.sha256}\n`);
  const pip = ["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"];
  const what = [
    "--only-binary=:all:",
    "--platform",
    wheel.tag,
    "--require-hashes",
    "-r",
    requirements,
    "-d",
    work,
  ];
  const { code, lines } = await run(python, [...pip, ...what], {
    // Nothing is installed, so a "virtual environments only" setting has nothing to protect.
    env: { ...process.env, PIP_REQUIRE_VIRTUALENV: "0" },
  });
  if (lines.some((line) => line.includes("DO NOT MATCH THE HASHES"))) {
    throw wrongHash(wheel, lines.join("\n").match(/Got\s+([0-9a-f]{64})/)?.[1] ?? "another");
  }
  if (code === 0 && (await exists(join(work, wheel.file)))) return undefined;
  const errors = lines.filter((line) => line.startsWith("ERROR:")).map((line) => line.slice(7));
  return `pip: ${errors.at(-1) ?? lines.at(-1) ?? `ended with ${code}`}`;
}

async function fetchByHttps(wheel, target, pipTrouble, hasPip) {
  const index = (process.env.MLX_GEMMA_INDEX_URL || "https://pypi.org/simple").replace(/\/+$/, "");
  const get = ask("curl", ["--version"]) === undefined ? getByFetch : getByCurl;
  try {
    const page = await get(`${index}/${wheel.package}/`);
    // The index answers in JSON or in HTML; the file's address stands between quotes in both.
    const address = page.match(new RegExp(`"([^"]*${wheel.file.replaceAll(".", "\\.")})(#[^"]*)?"`, "g"));
    const link = address
      ?.map((quoted) => quoted.slice(1, -1).split("#")[0])
      .find((text) => text.includes("/"));
    if (!link) throw new Error(`${index} does not list ${wheel.file}`);
    await get(new URL(link, `${index}/${wheel.package}/`).href, target);
  } catch (error) {
    const cause = `${pipTrouble}; HTTPS: ${error.cause?.message ?? error.message}`;
    const offline = `or put ${wheel.file} into ${cacheFolder()}`;
    throw new Lack(
      `MLX could not be fetched (${cause})`,
      hasPip ? `check the network and run npm run build, ${offline}` : `${commandFor("pip")}, ${offline}`,
    );
  }
}

/** curl, where it is there: it takes proxies and certificates from the environment, which Node 20's fetch doesn't. */
async function getByCurl(url, file) {
  const to = file
    ? ["--output", file]
    : ["--header", "Accept: application/vnd.pypi.simple.v1+json, text/html;q=0.5"];
  const { code, lines } = await run("curl", ["-fsSL", "--retry", "2", "--connect-timeout", "20", ...to, url]);
  if (code !== 0) throw new Error(lines.at(-1) ?? `curl ended with ${code}`);
  return lines.join("\n");
}

async function getByFetch(url, file) {
  const headers = file ? {} : { Accept: "application/vnd.pypi.simple.v1+json, text/html;q=0.5" };
  const response = await fetch(url, { headers });
  if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
  if (!file) return response.text();
  await pipeline(Readable.fromWeb(response.body), createWriteStream(file));
  return "";
}

function wrongHash(wheel, found) {
  return new Lack(
    `${wheel.file} has sha256 ${found}, not the pinned ${wheel.sha256}, and was thrown away`,
    "check which package index pip uses (python3 -m pip config list), then npm run build",
  );
}

async function exists(path) {
  return stat(path).then(
    () => true,
    () => false,
  );
}
