import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { FakeHub } from "../checkpoint/hub/fake-hub.js";

export const TOKEN = "hf_SecretTokenOfTheTest";

/** What would lead a test past the fake hub. */
const NEUTRAL = Object.fromEntries(
  [
    ...[
      "HF_HOME",
      "HUGGINGFACE_HUB_CACHE",
      "HF_HUB_OFFLINE",
      "TRANSFORMERS_OFFLINE",
      "HF_HUB_DISABLE_SYMLINKS",
    ],
    ...["HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DOWNLOAD_TIMEOUT"],
    ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"],
  ].map((name) => [name, ""]),
);

export interface HubFixture {
  hub: FakeHub;
  cache: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A fake hub and an empty cache for the command line, new for each test. */
export function hubFixture(): HubFixture {
  const fix: HubFixture = {
    hub: undefined as unknown as FakeHub,
    cache: "",
    get env() {
      return { ...NEUTRAL, HF_ENDPOINT: fix.hub.endpoint, HF_HUB_CACHE: fix.cache, HF_TOKEN: TOKEN };
    },
  };
  beforeEach(async () => {
    fix.hub = await FakeHub.start();
    fix.cache = mkdtempSync(join(tmpdir(), "mlx-gemma-hub-"));
  });
  afterEach(async () => {
    await fix.hub.stop();
    rmSync(fix.cache, { recursive: true, force: true });
  });
  return fix;
}
