import { join } from "node:path";
import { expect, it } from "vitest";
import { REPO } from "../checkpoint/hub/download-fixture.js";
import { FOX, generate, mlxGemma } from "../cli/helpers.js";
import { hubFixture } from "../cli/hub-fixture.js";

const ID = "google/gemma-4-E2B-it";
const fix = hubFixture();

/** A process whose wall clock runs backwards, an hour at each look; timers are the system's. */
const BACKWARDS = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(
    "let now = Date.now(); Date.now = () => (now -= 3_600_000);",
  )}`,
};

it("a cache whose path has spaces and Unicode is one as any other", async () => {
  const commit = fix.hub.add(ID, REPO);
  const cache = join(fix.cache, "my models ü 東京 🦊", "it's $HERE");
  const env = { ...fix.env, HF_HUB_CACHE: cache, HERE: "here" };
  const pulled = await mlxGemma(["pull", ID], { env });
  const folder = join(
    cache.replace("$HERE", "here"),
    `models--${ID.replace("/", "--")}`,
    "snapshots",
    commit,
  );
  expect(pulled).toMatchObject({ code: 0, stdout: `${folder}\n` });
  const listed = await mlxGemma(["models", "--json"], { env });
  expect(JSON.stringify(JSON.parse(listed.stdout))).toContain(ID);
});

it("a clock that goes backwards changes neither answers nor downloads", async () => {
  const args = ["--draft", "assistant", "-n", "24", FOX];
  const [back, plain] = [await generate(args, { env: BACKWARDS }), await generate(args)];
  expect(back).toEqual(plain);
  expect(back.code).toBe(0);
  fix.hub.add(ID, REPO);
  expect(await mlxGemma(["pull", ID], { env: { ...fix.env, ...BACKWARDS } })).toMatchObject({ code: 0 });
});
