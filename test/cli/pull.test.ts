import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { noise, REPO } from "../checkpoint/hub/download-fixture.js";
import { refuse, storageEtag } from "../checkpoint/hub/fake-hub.js";
import { mlxGemma, mlxGemmaOnTerminal, NO_TERMINAL, readJson } from "./helpers.js";
import { hubFixture, TOKEN } from "./hub-fixture.js";

const ID = "google/gemma-4-E2B-it";
const ASSISTANT = `${ID}-assistant`;
const fix = hubFixture();
const pull = (...args: string[]) => mlxGemma(["pull", ...args], { env: fix.env });
const snapshot = (id: string, commit: string) =>
  join(fix.cache, `models--${id.replace("/", "--")}`, "snapshots", commit);

const assistantFiles = { ...REPO, "config.json": '{"model_type":"gemma4_assistant"}' };

describe("pull", () => {
  it("writes the folder on stdout, and a line a file on stderr", async () => {
    const commit = fix.hub.add(ID, REPO);
    const { code, stdout, stderr } = await pull(ID);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${snapshot(ID, commit)}\n` });
    const lines = stderr.split("\n");
    expect(lines[0]).toBe(`mlx-gemma: downloading ${ID}: 49 B in 4 files`);
    expect(lines).toContain(`mlx-gemma: downloading ${ID}: 400 kB in 1 file`);
    expect(lines).toContain("mlx-gemma: model.safetensors, 400 kB");
    expect(lines.at(-2)).toBe(`mlx-gemma: ${ID}: 400 kB downloaded, commit ${commit.slice(0, 12)}`);
    expect(stderr).not.toContain(TOKEN);
  });

  it("again downloads nothing", async () => {
    fix.hub.add(ID, REPO);
    await pull(ID);
    const { code, stderr } = await pull(ID);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^mlx-gemma: google\/gemma-4-E2B-it: was in the cache, commit \w{12}\n$/);
  });

  it("--draft assistant brings both", async () => {
    const target = fix.hub.add(ID, REPO);
    const assistant = fix.hub.add(ASSISTANT, assistantFiles);
    const { code, stdout } = await pull(ID, "--draft", "assistant", "-q");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${snapshot(ID, target)}\n${snapshot(ASSISTANT, assistant)}\n`,
    });
  });

  it("--draft assistant goes on to the makers' one for a conversion", async () => {
    const id = "mlx-community/gemma-4-E2B-it-4bit";
    fix.hub.add(id, REPO);
    const assistant = fix.hub.add(ASSISTANT, assistantFiles);
    const { code, stdout, stderr } = await pull(id, "--draft", "assistant", "--json");
    expect(code).toBe(0);
    expect(readJson(JSON_SCHEMAS.pull, stdout)).toMatchObject({
      target: { id, revision: "main" },
      assistant: { id: ASSISTANT, commit: assistant },
    });
    expect(stderr).toContain(ASSISTANT);
  });

  it("--draft assistant is told when there is none", async () => {
    fix.hub.add(ID, REPO);
    const { code, stdout, stderr } = await pull(ID, "--draft", "assistant", "-q");
    expect({ code, stdout }).toEqual({ code: 9, stdout: "" });
    expect(stderr).toBe(
      `mlx-gemma: ${ID}: expected its assistant on the hub, found none of the names ${ASSISTANT}; give its name: --draft org/name\n`,
    );
  });

  it.each<[string, string[], Record<string, string>, number, string]>([
    ["an assistant that can't be", [ID, "--draft", "bogus"], {}, 2, 'found "bogus"'],
    ["a misspelt word", [ID, "--draft", "asistant"], {}, 2, 'found "asistant"; did you mean assistant?'],
    ["no network by choice", [ID], { HF_HUB_OFFLINE: "1" }, 9, "found nothing; do without HF_HUB_OFFLINE"],
  ])("%s is refused before the hub is asked", async (_, args, env, code, end) => {
    fix.hub.add(ID, REPO);
    const outcome = await mlxGemma(["pull", ...args], { env: { ...fix.env, ...env } });
    expect(outcome).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(/^[^\n]+\n$/) });
    expect(outcome.stderr.endsWith(`${end}\n`)).toBe(true);
    expect(fix.hub.seen).toEqual([]);
  });

  it("--draft org/name brings that one, --revision is the target's", async () => {
    const dev = fix.hub.add(ID, REPO, "dev");
    const other = fix.hub.add("someone/drafter", assistantFiles);
    const { stdout } = await pull(ID, "--revision", "dev", "--draft", "someone/drafter", "-q");
    expect(stdout).toBe(`${snapshot(ID, dev)}\n${snapshot("someone/drafter", other)}\n`);
  });

  it.each<[string, string[], number, RegExp]>([
    ["no repository", ["folder"], 2, /expected a repository such as google\/gemma-4-E2B-it, found "folder"/],
    ["a wrong revision", [`${ID}@..`], 2, /--revision: expected a branch, tag or commit/],
    ["none", [], 2, /missing required argument 'repository'; see mlx-gemma pull --help/],
    [
      "one that is not there",
      ["google/gemma-5"],
      9,
      /gemma-5: expected a repository at 127\.0\.0\.1.* found none/,
    ],
  ])("is told of %s in a line", async (_, args, code, line) => {
    const outcome = await pull(...args);
    expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+\n$/);
    expect(outcome.stderr).toMatch(line);
    expect(outcome).toMatchObject({ code, stdout: "" });
  });

  it("is told that the repository is gated, without the token", async () => {
    fix.hub.add(ID, REPO);
    fix.hub.hub = (_, response, path) => {
      if (!path.includes("/resolve/")) return false;
      refuse(response, 403, "GatedRepo", "Access to model is restricted");
      return true;
    };
    const { code, stderr } = await pull(ID, "-q");
    expect(code).toBe(9);
    expect(stderr).toMatch(
      /^mlx-gemma: google\/gemma-4-E2B-it: \S+: the repository is gated, and your token's account has no access; accept its terms at http:\S+ [^\n]*\n$/,
    );
    expect(stderr).not.toContain(TOKEN);
  });
});

/** Sends a part of the weights and then nothing more. */
function stall(bytes: number): void {
  fix.hub.storage = (_, response, path) => {
    const data = fix.hub.content(path);
    if (!data || !path.endsWith(".safetensors")) return false;
    response.writeHead(200, { "content-length": data.length, etag: storageEtag(data) });
    response.write(data.subarray(0, bytes));
    return true;
  };
}

describe.skipIf(NO_TERMINAL)(`pull on a terminal${NO_TERMINAL ? ` (${NO_TERMINAL})` : ""}`, () => {
  it.each([100, 50, 24])("shows a bar that fits %d columns", async (columns) => {
    fix.hub.add(ID, { ...REPO, "model.safetensors": noise(3_000_000) });
    fix.hub.storage = (_, response, path) => {
      const data = fix.hub.content(path);
      if (!data || !path.endsWith(".safetensors")) return false;
      response.writeHead(200, { "content-length": data.length, etag: '"x"' });
      let at = 0;
      const timer = setInterval(() => {
        response.write(data.subarray(at, at + 150_000));
        at += 150_000;
        if (at < data.length) return;
        clearInterval(timer);
        response.end();
      }, 100);
      return true;
    };
    const { code, output, text } = await mlxGemmaOnTerminal(["pull", ID], { columns, env: fix.env });
    expect(code).toBe(0);
    // The folder on stdout comes right after the last picture.
    const pictures = text.slice(0, text.indexOf(fix.cache));
    const frames = [...pictures.matchAll(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] ((?:(?!mlx-gemma:)[^⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏\n])*)/g)].map(
      ([, frame = ""]) => frame.trim(),
    );
    for (const frame of frames) expect(frame.length).toBeLessThan(columns - 2);
    const percents = frames.flatMap((frame) => Number(/(\d+)%/.exec(frame)?.[1] ?? []));
    expect(new Set(percents).size).toBeGreaterThan(5);
    if (columns === 100) {
      expect(text).toMatch(
        /google\/gemma-4-E2B-it {2}█+░+ {2}\d+% {2}[\d.]+ MB of 3\.0 MB {2}[\d.]+ [MGk]B\/s {2}\d s left/,
      );
    }
    expect(output.lastIndexOf("\u001b[?25h")).toBeGreaterThan(output.lastIndexOf("\u001b[?25l"));
  });

  it("Ctrl-C leaves what can be gone on with, and a clean terminal", async () => {
    const commit = fix.hub.add(ID, { ...REPO, "model.safetensors": noise(2_000_000) });
    stall(1_000_000);
    const { code, output, text } = await mlxGemmaOnTerminal(["pull", ID], {
      env: fix.env,
      keys: [{ after: "1.0 MB of 2.0 MB", send: "\u0003" }],
    });
    expect(code).toBe(130);
    expect(text).toMatch(/mlx-gemma: interrupted; run it again to go on where it stopped\n$/);
    expect(output.lastIndexOf("\u001b[?25h")).toBeGreaterThanOrEqual(output.lastIndexOf("\u001b[?25l"));
    const blobs = readdirSync(join(fix.cache, "models--google--gemma-4-E2B-it", "blobs"));
    expect(blobs.filter((name) => name.endsWith(".mlx-gemma.incomplete"))).toHaveLength(1);
    expect(existsSync(join(snapshot(ID, commit), "model.safetensors"))).toBe(false);
    fix.hub.storage = () => false;
    const { stderr } = await pull(ID);
    expect(stderr).toContain(`${ID}: 1.0 MB downloaded`);
  });
});
