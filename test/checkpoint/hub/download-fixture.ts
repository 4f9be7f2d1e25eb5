import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { type HubEnvironment, hubEnvironment } from "../../../src/checkpoint/hub/environment.js";
import {
  type HubProgress,
  type ResolvedRepo,
  type ResolveOptions,
  resolveRepo,
} from "../../../src/checkpoint/hub/index.js";
import { MlxGemmaError } from "../../../src/errors.js";
import { FakeHub } from "./fake-hub.js";

export const ID = "org/gemma";
export const TOKEN = "hf_SecretTokenOfTheTest";

/** Bytes that are no two alike: a piece at a wrong place shows. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

export const WEIGHTS = noise(400_000);

/** A repository that is whole for the hub; its weights load nothing. */
export const REPO: Readonly<Record<string, string | Buffer>> = {
  "config.json": '{"model_type":"gemma4_text"}',
  "generation_config.json": "{}",
  "tokenizer.json": '{"model":{}}',
  "tokenizer_config.json": '{"a":1}',
  "model.safetensors": WEIGHTS,
};

export interface Fixture {
  hub: FakeHub;
  cache: string;
  /** Of {@link REPO}. */
  commit: string;
  readonly environment: HubEnvironment;
  /** Downloads; the fake hub is the endpoint, a token is set, and nothing is waited for long. */
  resolve(options?: ResolveOptions & { text?: string }): Promise<ResolvedRepo>;
  readonly progress: HubProgress[];
  /** Files of the repository's folder in the cache, without unfinished ones. */
  finished(): string[];
}

/** A fake hub and an empty cache for each test of the file. */
export function fixture(env: Readonly<Record<string, string>> = {}): Fixture {
  const fix: Fixture = {
    hub: undefined as unknown as FakeHub,
    cache: "",
    commit: "",
    progress: [],
    get environment() {
      return environmentOf(fix.hub.endpoint, fix.cache, { HF_TOKEN: TOKEN, ...env });
    },
    resolve: ({ text = ID, ...options } = {}) =>
      resolveRepo(text, {
        environment: fix.environment,
        onProgress: (event) => fix.progress.push(event),
        ...options,
      }),
    finished: () =>
      readdirSync(join(fix.cache, "models--org--gemma"), { recursive: true, encoding: "utf8" })
        .filter((name) => !name.endsWith(".incomplete"))
        .sort(),
  };
  beforeEach(async () => {
    fix.hub = await FakeHub.start();
    fix.cache = mkdtempSync(join(tmpdir(), "mlx-gemma-hub-"));
    fix.commit = fix.hub.add(ID, REPO);
    fix.progress.length = 0;
  });
  afterEach(async () => {
    await fix.hub.stop();
    rmSync(fix.cache, { recursive: true, force: true });
  });
  return fix;
}

export function environmentOf(
  endpoint: string,
  cache: string,
  env: Readonly<Record<string, string>> = {},
): HubEnvironment {
  return {
    ...hubEnvironment({ HOME: "/nowhere", HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache, ...env }),
    patience: { retry: 0.01, longest: 5, beat: 0.05, stale: 0.4 },
  };
}

/** Whether a snapshot's files hold what the repository has. */
export function holds(folder: string, files: Readonly<Record<string, string | Buffer>> = REPO): boolean {
  return Object.entries(files).every(([name, data]) =>
    readFileSync(join(folder, name)).equals(Buffer.from(data)),
  );
}

/** The message of what a download ends with: one line that says what to do, without the token. */
export async function failureOf(
  download: Promise<unknown>,
  code: "hub" | "disk" | "checkpoint" | "usage",
): Promise<string> {
  const error: unknown = await download.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(MlxGemmaError);
  if (!(error instanceof MlxGemmaError)) return "";
  expect(error.code).toBe(code);
  expect(error.message).not.toMatch(/\p{C}/u);
  expect(error.message).not.toContain(TOKEN);
  expect(error.message).toMatch(/; /);
  return error.message;
}
