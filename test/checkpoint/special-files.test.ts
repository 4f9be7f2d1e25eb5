import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EMBEDDED_TARGET, findAssistant, locateFolder, openTarget } from "../../src/checkpoint/index.js";
import { isFile, readWhole } from "../../src/checkpoint/plain-file.js";
import { openChatTemplate } from "../../src/text/chat-template.js";
import { openTokenizer } from "../../src/text/tokenizer.js";
import { generate } from "../cli/helpers.js";
import { copyOf, rejected, temporaryFolder, thrown } from "./helpers.js";

/** What may stand where a file belongs, and what is told of it. */
const STRANGERS = {
  "a pipe": { make: (path: string) => execFileSync("mkfifo", [path]), found: "found no plain file" },
  "endless zeros": { make: (path: string) => symlinkSync("/dev/zero", path), found: "found no plain file" },
  "a folder": { make: (path: string) => mkdirSync(path), found: "found a folder" },
  "a link to nothing": {
    make: (path: string) => symlinkSync("nowhere", path),
    found: "found a link to nothing",
  },
  "a link to itself": {
    make: (path: string) => symlinkSync(path, path),
    found: "found a link that leads to itself",
  },
} as const;
type Stranger = keyof typeof STRANGERS;
const strangers = Object.keys(STRANGERS) as Stranger[];

/** A copy of the embedded target with a stranger in place of one file. */
function withStranger(name: string, stranger: Stranger): string {
  const folder = copyOf(EMBEDDED_TARGET);
  rmSync(join(folder, name), { force: true });
  STRANGERS[stranger].make(join(folder, name));
  return folder;
}

const OPENERS: Readonly<Record<string, (folder: string) => unknown>> = {
  "config.json": openTarget,
  "generation_config.json": openTarget,
  "model.safetensors": openTarget,
  "model.safetensors.index.json": (folder) => {
    rmSync(join(folder, "model.safetensors"));
    return openTarget(folder);
  },
  "tokenizer.json": openTokenizer,
  "tokenizer_config.json": openTokenizer,
  "chat_template.jinja": openChatTemplate,
};

describe.each(Object.keys(OPENERS))("%s", (name) => {
  it("opens as it was (control)", async () => {
    if (name === "model.safetensors.index.json") return;
    await OPENERS[name]?.(copyOf(EMBEDDED_TARGET));
  });

  it.each(strangers)("that is %s is told, and not waited for", async (stranger) => {
    const folder = withStranger(name, stranger);
    const start = performance.now();
    const { message } = await rejected("checkpoint", Promise.resolve(folder).then(OPENERS[name]));
    expect(message).toContain(`${join(folder, name)}: expected a file, ${STRANGERS[stranger].found}`);
    expect(message).toMatch(/; [^;]+$/);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

it.each(strangers)("generate ends with 3 and one line where the weights are %s", async (stranger) => {
  const folder = withStranger("model.safetensors", stranger);
  const outcome = await generate(["--model", folder, "Hi"]);
  expect(outcome).toMatchObject({ code: 3, stdout: "" });
  expect(outcome.stderr).toMatch(
    /^mlx-gemma: [^\n]*model\.safetensors: expected a file, found [^\n]+; [^\n]+\n$/,
  );
});

describe("a path", () => {
  it("that can't be looked at is told", () => {
    const folder = temporaryFolder();
    symlinkSync("loop", join(folder, "loop"));
    for (const path of [join(folder, "loop"), join(folder, "loop", "x"), "x".repeat(5000), "a\0b"]) {
      expect(thrown("checkpoint", () => locateFolder(path)).message).toMatch(
        /expected the folder of a checkpoint/,
      );
      expect(isFile(path)).toBe(false);
      expect(findAssistant(path)).toBeUndefined();
    }
  });

  it("that is a socket is no file", async () => {
    const path = join(temporaryFolder(), "socket");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(thrown("checkpoint", () => readWhole(path, 10)).message).toContain("found no plain file");
    await new Promise((resolve) => server.close(resolve));
  });

  it("of the command line that can't be looked at ends with 3", async () => {
    const outcome = await generate(["--model", `./${"x".repeat(300)}`, "Hi"]);
    expect(outcome).toMatchObject({ code: 3, stdout: "" });
    expect(outcome.stderr).toMatch(
      /^mlx-gemma: [^\n]+: expected the folder of a checkpoint, found [^\n]+\n$/,
    );
  });
});
