import { access, constants, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { HubClient } from "../../checkpoint/hub/client.js";
import { type HubEnvironment, hubEnvironment, listCached } from "../../checkpoint/hub/index.js";
import { throwIfAborted } from "../../errors.js";
import { size } from "../../units.js";
import type { Finding, Look } from "./report.js";

/** Seconds for an answer, and for all tries of one look. */
const ANSWER = 5;
const LOOK = 6;
/** The smallest published pair in bf16, and something to spare. */
const LITTLE_DISK = 15e9;
const SUBJECT = { id: "api" };

/** The cache, and what it is filled from. @param offline the hub is not asked */
export function hubLooks(offline: boolean, signal: AbortSignal): Look[] {
  let silent = false;
  return [
    { id: "cache", what: "the cache", cure: "set HF_HOME to a folder of yours", run: lookAtCache },
    {
      id: "hub",
      what: "the hub",
      thrown: "warn",
      cure: "check the network, HF_ENDPOINT and the proxy; what is in the cache works without (--offline)",
      async run() {
        const environment = hubEnvironment();
        const { host } = environment.endpoint;
        if (offline || environment.offline) return { status: "ok", found: notAsked(offline) };
        const began = performance.now();
        silent = true;
        const { status } = await ask(environment, "/api/models?limit=1", false, signal);
        silent = false;
        const milliseconds = Math.round(performance.now() - began);
        const facts = { host, status, milliseconds };
        if (status === 200) return { status: "ok", found: `${host} answers in ${milliseconds} ms`, facts };
        const cure = "check HF_ENDPOINT: it may be no hub";
        return { status: "warn", found: `${host} answers with status ${status}`, cure, facts };
      },
    },
    {
      id: "token",
      what: "the hub's token",
      cure: "log in again (hf auth login), or set HF_TOKEN",
      async run() {
        const environment = hubEnvironment();
        if (environment.token() === undefined) {
          return { status: "ok", found: "none: public repositories only", facts: { token: false } };
        }
        if (offline || environment.offline) return { status: "ok", found: `one; ${notAsked(offline)}` };
        if (silent) return { status: "ok", found: "one; not asked, as the hub gave no answer" };
        return tokenFinding((await ask(environment, "/api/whoami-v2", true, signal)).status);
      },
    },
  ];
}

function notAsked(offline: boolean): string {
  return `not asked (${offline ? "--offline" : "HF_HUB_OFFLINE"})`;
}

function tokenFinding(status: number): Finding {
  const facts = { token: true, status };
  if (status === 200) return { status: "ok", found: "the hub knows it", facts };
  if (status === 401 || status === 403) {
    const cure =
      "log in with a new one (hf auth login), set HF_TOKEN to it, or unset it: even public files are refused to a wrong one";
    return { status: "fail", found: "the hub does not know it", cure, facts };
  }
  return {
    status: "warn",
    found: `can't be checked here (status ${status})`,
    cure: "check HF_ENDPOINT",
    facts,
  };
}

async function lookAtCache(): Promise<Finding> {
  const { cache } = hubEnvironment();
  const folder = await nearest(cache);
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is no folder`);
  await access(folder, constants.W_OK);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const models = listCached(cache).length;
  const found = `${cache}, ${models} ${models === 1 ? "model" : "models"}, ${size(free)} free`;
  const facts = { folder: cache, models, free };
  if (free >= LITTLE_DISK) return { status: "ok", found, facts };
  const cure = "free some room (mlx-gemma models lists what is there), or set HF_HOME to a larger disk";
  return { status: "warn", found, cure, facts };
}

/** The folder, or the first above it that is there. */
async function nearest(folder: string): Promise<string> {
  try {
    await access(folder);
    return folder;
  } catch (error) {
    if (dirname(folder) === folder) throw error;
    return nearest(dirname(folder));
  }
}

/** Status of one GET, soon. @throws MlxGemmaError `hub`, or `aborted` by the user */
async function ask(
  environment: HubEnvironment,
  path: string,
  withToken: boolean,
  signal: AbortSignal,
): Promise<{ readonly status: number }> {
  const soon = AbortSignal.timeout(LOOK * 1000);
  const client = new HubClient(
    {
      ...environment,
      timeout: ANSWER,
      patience: { ...environment.patience, retry: 0.2, longest: 0 },
      ...(withToken ? {} : { token: () => undefined }),
    },
    AbortSignal.any([signal, soon]),
    () => {},
  );
  try {
    const response = await client.get(`${environment.endpoint.href.replace(/\/$/, "")}${path}`, {
      subject: SUBJECT,
      fine: [401, 403, 404],
    });
    response.giveUp();
    return { status: response.status };
  } catch (error) {
    throwIfAborted(signal, "the look at the hub was aborted");
    if (soon.aborted) throw new Error(`${environment.endpoint.host}: no answer within ${LOOK} s`);
    throw error;
  } finally {
    await client.close();
  }
}
