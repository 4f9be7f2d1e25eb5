import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Check, reportSchema, take } from "../../src/cli/doctor/report.js";
import { findingOf, PROMPT, RECORDED } from "../../src/cli/doctor/self-test.js";
import { MlxGemmaError } from "../../src/errors.js";
import { generate } from "../../src/generate.js";
import { load } from "../../src/load.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { run } from "../support/generation.js";
import { goldenFolder } from "../target/helpers.js";
import { mlxGemma, mlxGemmaOnTerminal, NO_TERMINAL, readJson } from "./helpers.js";
import { hubFixture, TOKEN } from "./hub-fixture.js";

const fix = hubFixture();

/** The hub answers these paths with these statuses. */
function answering(statuses: Readonly<Record<string, number>>): void {
  fix.hub.hub = (_, response, path) => {
    const status = statuses[path.split("?")[0] ?? ""];
    if (status === undefined) return false;
    response.writeHead(status, { "content-type": "application/json" }).end("{}");
    return true;
  };
}
const WELL = { "/api/models": 200, "/api/whoami-v2": 200 };

async function doctor(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}, said = /^$/) {
  const { code, stdout, stderr } = await mlxGemma(["doctor", "--json", ...args], {
    env: { ...fix.env, ...env },
  });
  expect(stderr).toMatch(said);
  const report = readJson(reportSchema, stdout);
  const check = (id: string) => report.checks.find((each) => each.id === id);
  return { code, report, check, stdout };
}

describe("doctor", () => {
  it("looks at all there is, by its schema, and gives nothing away", async () => {
    answering(WELL);
    const { code, report, check, stdout } = await doctor();
    expect(code).toBe(0);
    expect(report.checks.map(({ id }) => id).join(" ")).toBe(
      "system cpu memory bandwidth device versions libmlx tokenizers cache hub token self-test",
    );
    expect(report.checks.filter(({ status }) => status === "fail")).toEqual([]);
    for (const { status, cure } of report.checks) expect(cure === null).toBe(status === "ok");
    expect(check("bandwidth")?.facts.bytesPerSecond).toBeGreaterThan(1e8);
    expect(check("token")?.found).toBe("the hub knows it");
    expect(check("self-test")?.facts).toMatchObject({ asRecorded: true, draftedIsPlain: true });
    expect(stdout).not.toContain(TOKEN);
    expect(stdout).not.toContain(`${homedir()}/`);
    // The token goes to where it is asked for, and nowhere else.
    const asked = fix.hub.seen.map(({ path, headers }) => [path, headers.authorization]);
    expect(asked).toEqual([
      ["/api/models", undefined],
      ["/api/whoami-v2", `Bearer ${TOKEN}`],
    ]);
  });

  it("asks nobody with --offline", async () => {
    const { check } = await doctor(["--offline"]);
    expect(check("hub")).toMatchObject({ status: "ok", found: "not asked (--offline)" });
    expect(check("token")).toMatchObject({ status: "ok", found: "one; not asked (--offline)" });
    expect(fix.hub.seen).toEqual([]);
    const portable = await doctor([], { HF_HUB_OFFLINE: "1", MLX_GEMMA_ISA: "scalar" });
    expect(portable.check("hub")?.found).toBe("not asked (HF_HUB_OFFLINE)");
    // Other kernels round otherwise, and nothing is wrong with them.
    expect(portable.check("self-test")).toMatchObject({ status: "ok", facts: { asRecorded: true } });
    if (portable.check("cpu")?.facts.kernels === "scalar") {
      expect(portable.check("cpu")?.cure).toBe("MLX_GEMMA_ISA asks for the portable, slow kernels: unset it");
    }
  });

  it.each<
    [string, Readonly<Record<string, number>>, Readonly<Record<string, string>>, number, Partial<Check>]
  >([
    ["a wrong token", { ...WELL, "/api/whoami-v2": 401 }, {}, 1, { id: "token", status: "fail" }],
    ["what can't be a token", WELL, { HF_TOKEN: "two words" }, 1, { id: "token", status: "fail" }],
    ["a mirror without accounts", { ...WELL, "/api/whoami-v2": 404 }, {}, 0, { id: "token", status: "warn" }],
    ["no token", WELL, { HF_TOKEN: "", HF_TOKEN_PATH: "/nowhere" }, 0, { id: "token", status: "ok" }],
    ["a stranger for a hub", { "/api/models": 404 }, {}, 0, { id: "hub", status: "warn" }],
    ["an endpoint that is none", WELL, { HF_ENDPOINT: "ftp://x" }, 1, { id: "cache", status: "fail" }],
  ])("tells %s", async (_, statuses, env, code, expected) => {
    answering(statuses);
    const outcome = await doctor([], env);
    expect(outcome.code).toBe(code);
    expect(outcome.check(expected.id ?? "")).toMatchObject(expected);
    expect(outcome.stdout).not.toContain("two words");
  });

  it("tells a hub that is not there, soon and with its cure", async () => {
    const gone = await doctor([], { HF_ENDPOINT: "http://127.0.0.1:9" });
    expect(gone.check("hub")).toMatchObject({
      status: "warn",
      found: expect.stringMatching(/127\.0\.0\.1:9 can't be reached/),
      cure: expect.stringMatching(/^check the network/),
    });
  });

  it("does not wait for a hub that never answers", async () => {
    fix.hub.hub = () => true;
    const { check } = await doctor();
    expect(check("hub")).toMatchObject({
      status: "warn",
      found: expect.stringMatching(/no answer within 6 s/),
    });
  });

  it("tells a cache that can't be", async () => {
    answering(WELL);
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const { check, code } = await doctor(["--offline"], { HF_HUB_CACHE: join(file, "hub") });
    expect(code).toBe(1);
    expect(check("cache")).toMatchObject({
      status: "fail",
      cure: "set HF_HOME to a folder of yours",
    });
  });

  it("holds blocks of a given pair against rows with --exact", async () => {
    const model = goldenFolder("e-style");
    const { check, code } = await doctor(
      ["--offline", "--exact", "--model", join(model, "target")],
      {},
      /^mlx-gemma: warning: .* \[no-tokenizer\]\n$/,
    );
    expect(code).toBe(0);
    // 2 + 3 + … + 16 rows for each prompt that the model has room for.
    expect(check("exact")?.facts.rowsCompared).toBeGreaterThanOrEqual(135);
    expect(check("exact")?.status).toBe("ok");
  });

  it("says what is wrong with a pair that can't be loaded", async () => {
    const { check, code } = await doctor(["--offline", "--exact", "--model", "/nowhere/at/all"]);
    expect(code).toBe(1);
    expect(check("exact")).toMatchObject({
      status: "fail",
      found: expect.stringContaining("/nowhere/at/all"),
    });
  });

  it("refuses a pair that nothing is done with", async () => {
    const { code, stderr } = await mlxGemma(["doctor", "--model", "x/y"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--exact is not given/);
  });

  it.skipIf(NO_TERMINAL)("fits into 40 columns, with its cures", async () => {
    answering({ ...WELL, "/api/whoami-v2": 401 });
    const { code, text } = await mlxGemmaOnTerminal(["doctor"], { columns: 40, env: { ...fix.env } });
    expect(code).toBe(1);
    expect(text).toMatch(/fail {2}token\n {6}the hub does not know it\n {6}→ log in with a new one/);
    expect(text).toMatch(/\n1 fail(, \d warn)?\n$/);
    for (const line of text.split("\n").filter((each) => !/⠋|⠙/.test(each))) {
      // A path has no place to break at.
      if (line.trim().includes(" ")) expect(line.length, line).toBeLessThanOrEqual(40);
    }
  });
});

describe("the self-test", () => {
  it.each(["bf16", "f16", "f32"] as const)("has a text that no rounding changes: %s", async (dtype) => {
    const { end, least } = await surest(PROMPT, dtype);
    expect(end.tokenIds).toEqual(RECORDED);
    // At least 2 between the logits of a token and of the next likeliest: dtypes and instruction sets differ by 0.2.
    expect(least).toBeGreaterThan(0.9);
  });

  it("could have one that rounding changes (negative control)", async () => {
    expect((await surest("Tell me a story about a fox.", "bf16")).least).toBeLessThan(0.5);
  });

  it("fails where the ids are others, and warns where no kernels of ours run", async () => {
    using pair = await load({ draft: "assistant" });
    const promptIds = await pair.encodePrompt(PROMPT);
    const end = await run(pair, { promptIds, maxTokens: RECORDED.length });
    const other = { ...end, tokenIds: end.tokenIds.with(3, 7) };
    const exactly = (exact: typeof end.stats.exact) => ({ ...other, stats: { ...end.stats, exact } });
    expect(findingOf(end, end, false)).toMatchObject({ status: "ok" });
    expect(findingOf(other, other, false)).toMatchObject({
      status: "fail",
      found: expect.stringContaining("differs from the recorded one at token 3"),
    });
    expect(findingOf(other, other, true)).toMatchObject({ status: "warn" });
    expect(findingOf(end, exactly("measured"), true)).toMatchObject({
      status: "fail",
      found: "drafted text differs from plain text at token 3; exact: measured",
    });
    expect(findingOf(end, exactly("not exact"), true)).toMatchObject({ status: "warn" });
    const short = { ...end, tokenIds: end.tokenIds.slice(0, 40) };
    expect(findingOf(short, short, false)).toMatchObject({ status: "fail" });
  });
});

/** An answer, and the probability of the token that the target was least sure of. */
async function surest(prompt: string, dtype: "bf16" | "f16" | "f32") {
  using pair = await load({ dtype });
  const promptIds = await pair.encodePrompt(prompt);
  const sure: number[] = [];
  for await (const event of generate(pair, { promptIds, maxTokens: RECORDED.length, trace: true })) {
    if (event.type === "tokens")
      sure.push(...(event.round?.probabilities.next.map(({ target }) => target) ?? []));
    if (event.type === "end") return { end: event, least: Math.min(...sure) };
  }
  throw new Error("the generation had no end event");
}

describe("a look", () => {
  const look = { id: "x", what: "x", cure: "mend it" };

  it("that throws is a finding, with the error's own cure where it has one", async () => {
    const thrown = (error: unknown) =>
      take({
        ...look,
        run() {
          throw error;
        },
      });
    expect(await thrown(new Error("it\nbroke; badly"))).toEqual({
      id: "x",
      status: "fail",
      found: "it broke; badly",
      cure: "mend it",
      facts: {},
    });
    expect(await thrown(new MlxGemmaError("addon", "stale; too old; run: npm run build"))).toMatchObject({
      found: "stale; too old",
      cure: "run: npm run build",
    });
    await expect(thrown(new MlxGemmaError("aborted", "x"))).rejects.toMatchObject({ code: "aborted" });
  });

  it("has no secrets", async () => {
    const home = homedir();
    const found = `${home}, ${home}/a and ${home}less, ${TOKEN}, http://me:secret@proxy:80/`;
    const check = await take({ ...look, run: () => ({ status: "ok", found, facts: { found } }) });
    expect(check.found).toBe(`~, ~/a and ${home}less, hf_…, http://…@proxy:80/`);
    expect(check.facts.found).toBe(check.found);
  });
});
