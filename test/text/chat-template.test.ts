import { spawn } from "node:child_process";
import { describe, expect, it } from "vitest";
import { EMBEDDED_TARGET } from "../../src/checkpoint/index.js";
import { type ChatMessage, openChatTemplate } from "../../src/text/chat-template.js";
import { rejected, temporaryFolder, thrown, writeJson } from "../checkpoint/helpers.js";
import { writeTemplate } from "./fixtures.js";

const CHAT: readonly ChatMessage[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "  Hi \n" },
  { role: "assistant", content: "Hello" },
  { role: "user", content: "Bye" },
];
const TURNS =
  "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\nHello<turn|>\n<|turn>user\nBye<turn|>\n<|turn>model\n";

/** A folder whose template is `template`. */
function folderWith(template: string): string {
  const folder = temporaryFolder();
  writeTemplate(folder, template);
  return folder;
}

describe("a chat template", () => {
  it("of the embedded pair gives Gemma 4's turns", async () => {
    const template = openChatTemplate(EMBEDDED_TARGET);
    expect(template.warning).toBeUndefined();
    expect(await template.render(CHAT)).toBe(TURNS);
  });

  it("may be absent: then the same turns, and a warning", async () => {
    const folder = temporaryFolder();
    const template = openChatTemplate(folder);
    expect(template.warning?.code).toBe("no-chat-template");
    expect(template.warning?.message).toContain(`${folder} has no chat template`);
    expect(await template.render(CHAT)).toBe(TURNS);
  });

  it("asks for thoughts where it can", async () => {
    const own = openChatTemplate(temporaryFolder());
    expect(await own.render(CHAT, { thinking: true })).toBe(
      TURNS.replace("system\nBe brief.", "system\n<|think|>\nBe brief."),
    );
    expect(await own.render(CHAT.slice(3), { thinking: true })).toBe(
      "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nBye<turn|>\n<|turn>model\n",
    );
    const told = openChatTemplate(folderWith("{{ enable_thinking is defined and enable_thinking }}"));
    expect(await told.render(CHAT, { thinking: true })).toBe("true");
    expect(await told.render(CHAT)).toBe("false");
  });

  it("is chat_template.jinja before tokenizer_config.json's", async () => {
    const folder = temporaryFolder();
    writeJson(folder, "tokenizer_config.json", {
      bos_token: "<s>",
      eos_token: { content: "</s>" },
      chat_template: "{{ bos_token }}{{ eos_token }}",
    });
    expect(await openChatTemplate(folder).render(CHAT)).toBe("<s></s>");
    writeTemplate(folder, "{% for m in messages %}{{ m.role }} {% endfor %}{{ add_generation_prompt }}");
    expect(await openChatTemplate(folder).render(CHAT)).toBe("system user assistant user true");
  });

  it("may be the one named default of a list", async () => {
    const folder = temporaryFolder();
    const named = (name: string) => ({ name, template: `of ${name}` });
    writeJson(folder, "tokenizer_config.json", { chat_template: [named("tool_use"), named("default")] });
    expect(await openChatTemplate(folder).render(CHAT)).toBe("of default");
    writeJson(folder, "tokenizer_config.json", { chat_template: [named("tool_use")] });
    expect(thrown("checkpoint", () => openChatTemplate(folder)).message).toContain(
      'expected one named "default", found "tool_use"',
    );
    writeJson(folder, "tokenizer_config.json", { chat_template: 3 });
    expect(thrown("checkpoint", () => openChatTemplate(folder)).message).toContain(
      "expected a text or a list, found 3",
    );
  });

  it.each<[string, string]>([
    ["{{ raise_exception('no system turn\nplease') }}", "fails: no system turn please"],
    ["{% for %}", "fails: "],
    [`${"{{ (".repeat(1)}${"(".repeat(200_000)}`, "fails: "],
    ["{{ constructor.constructor('return process')() }}", "fails: "],
  ])("that fails says why: %.50s", async (source, words) => {
    const folder = folderWith(source);
    const { message } = await rejected("checkpoint", openChatTemplate(folder).render(CHAT));
    expect(message).toContain("chat_template.jinja: the chat template ");
    expect(message).toContain(words);
  });

  it("that loops is ended, and so is its worker", async () => {
    const loop =
      "{% for i in range(100000) %}{% for j in range(100000) %}{% set x = i %}{% endfor %}{% endfor %}";
    const start = process.cpuUsage();
    const { message } = await rejected("checkpoint", openChatTemplate(folderWith(loop)).render(CHAT));
    expect(message).toContain("expected to end within 2 s");
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(5000);
  });

  it("is not refused because the process slept, or others had the processor", async () => {
    const slow =
      "{% for i in range(80) %}{% for j in range(1000) %}{% set x = i %}{% endfor %}{% endfor %}done";
    const module = new URL("../../dist/text/chat-template.js", import.meta.url).href;
    const script = `
      const { openChatTemplate } = await import(${JSON.stringify(module)});
      const rendered = openChatTemplate(${JSON.stringify(folderWith(slow))}).render([{ role: "user", content: "Hi" }]);
      process.stdout.write("begun ");
      process.stdout.write(await rendered.catch(({ message }) => message));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (said === "") setTimeout(() => child.kill("SIGSTOP"), 200);
      if (said === "") setTimeout(() => child.kill("SIGCONT"), 200 + 2500);
      said += text;
    });
    await new Promise((resolve) => child.on("close", resolve));
    expect(said).toBe("begun done");
  });

  it("that fills the memory is ended", async () => {
    const bomb =
      "{% set ns = namespace(l=[1,2,3,4,5,6,7,8]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}";
    const { message } = await rejected("checkpoint", openChatTemplate(folderWith(bomb)).render(CHAT));
    expect(message).toMatch(/fails: |still running/);
  });

  const doubled = (times: number, end: string) =>
    `{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(${times}) %}{% set ns.s = ns.s + ns.s %}{% endfor %}${end}`;

  it.each([
    ["makes more text than any context holds", doubled(24, "{{ ns.s }}"), "expected to make at most 8388"],
    ["makes more text than there can be", doubled(40, "{{ ns.s }}"), "fails: Invalid string length"],
    ["fails with a long tale", doubled(20, "{{ raise_exception(ns.s) }}"), "fails: aaaa"],
  ])("that %s is told in one line", async (_, source, words) => {
    const before = process.memoryUsage().rss;
    const { message } = await rejected("checkpoint", openChatTemplate(folderWith(source)).render(CHAT));
    expect(message).toContain(words);
    expect(message.length).toBeLessThan(500);
    expect(process.memoryUsage().rss - before).toBeLessThan(400e6);
  });

  it("that is too large is refused", () => {
    expect(
      thrown("checkpoint", () => openChatTemplate(folderWith("x".repeat(1024 * 1024 + 1)))).message,
    ).toContain("expected at most");
  });

  it("knows nothing of the process that renders it", async () => {
    process.env.MLX_GEMMA_TEST_SECRET = "secret";
    const folder = folderWith("{{ process is defined }} {{ env is defined }} {{ require is defined }}");
    expect(await openChatTemplate(folder).render(CHAT)).toBe("false false false");
  });

  it("renders several chats at once", async () => {
    const template = openChatTemplate(EMBEDDED_TARGET);
    const asked = ["a", "b", "c"].map((content) => template.render([{ role: "user", content }]));
    expect(await Promise.all(asked)).toEqual(
      ["a", "b", "c"].map((c) => `<bos><|turn>user\n${c}<turn|>\n<|turn>model\n`),
    );
  });
});
