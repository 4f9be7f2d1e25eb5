import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { JSON_SCHEMAS } from "../../src/cli/json-schemas.js";
import { commandsOf, makeProgram } from "../../src/cli/program.js";
import { traceSchema } from "../../src/trace/schema.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { generate, mlxGemma, ROOT, readJson } from "./helpers.js";
import { reportOf } from "./html/pages.js";

describe("--json", () => {
  it("is an option of every command, and each has its schema", () => {
    const commands = commandsOf(makeProgram());
    for (const command of commands) {
      expect(
        command.options.map(({ long }) => long),
        command.path(),
      ).toContain("--json");
    }
    const names = [...commands.map((command) => command.path()), "print-config"];
    expect(Object.keys(JSON_SCHEMAS).sort()).toEqual(names.sort());
  });

  it.each(Object.entries({ ...JSON_SCHEMAS, trace: traceSchema }))(
    "the schema of %s in docs/ is the current one (--update writes it)",
    async (name, schema) => {
      const text = `${JSON.stringify(z.toJSONSchema(schema, { reused: "ref" }), null, 2)}\n`;
      await expect(text).toMatchFileSnapshot(`${ROOT}docs/schemas/${name.replace(" ", "-")}.schema.json`);
    },
  );

  it("of completion holds the script", async () => {
    const { stdout } = await mlxGemma(["completion", "fish", "--json"]);
    const { shell, script } = readJson(JSON_SCHEMAS.completion, stdout);
    expect({ shell, script }).toEqual({
      shell: "fish",
      script: (await mlxGemma(["completion", "fish"])).stdout,
    });
  });

  it("of report holds the page, or says where it is", async () => {
    const folder = temporaryFolder();
    const [trace, bench, html] = ["trace.json", "bench.json", "page.html"].map((name) => join(folder, name));
    if (!trace || !bench || !html) throw new Error("three paths");
    expect((await generate(["-n", "2", "-q", "--trace", trace, "Hi"])).code).toBe(0);
    writeFileSync(bench, JSON.stringify(await reportOf()));
    const held = readJson(JSON_SCHEMAS.report, (await mlxGemma(["report", trace, "--json"])).stdout);
    expect(held).toEqual({
      kind: "generation",
      html: null,
      page: (await mlxGemma(["report", trace])).stdout,
    });
    const { stdout } = await mlxGemma(["report", bench, "--json", "--html", html]);
    expect(readJson(JSON_SCHEMAS.report, stdout)).toEqual({ kind: "bench", html, page: null });
  });
});
