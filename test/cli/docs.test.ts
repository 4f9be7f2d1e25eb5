import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { allCommands, commandsOf, makeProgram } from "../../src/cli/program.js";
import { ROOT } from "./helpers.js";

function cliDocs(...args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [`${ROOT}scripts/cli-docs.mjs`, ...args], {
    encoding: "utf8",
  });
  return { status, stderr };
}

describe("docs/cli.md", () => {
  const page = readFileSync(`${ROOT}docs/cli.md`, "utf8");

  it("is what the commands say", () => {
    expect(cliDocs("--check")).toEqual({ status: 0, stderr: "" });
  });

  it("that is not current is told, and mended", () => {
    const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-docs-"));
    try {
      const file = join(folder, "cli.md");
      const old = page.replace("`--min-p <p>`", "`--min-q <p>`");
      expect(old).not.toBe(page);
      writeFileSync(file, old);
      const { status, stderr } = cliDocs("--check", file);
      expect(status).toBe(1);
      expect(stderr).toMatch(/cli\.md: not current; run: npm run docs:cli\n$/);
      cliDocs(file);
      expect(readFileSync(file, "utf8")).toBe(page);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("has every command, and each has an example", () => {
    const names = commandsOf(makeProgram()).map((command) => command.path());
    expect(names).toContain("models rm");
    for (const name of names) {
      const [, section = ""] = page.split(`## \`mlx-gemma ${name}\`\n`);
      expect(section.split("\n## ")[0]).toContain(`\n    mlx-gemma ${name}`);
      expect(section.split("\n## ")[0]).toMatch(new RegExp(`\\n    .*mlx-gemma ${name}.*$`, "m"));
    }
  });
});

describe("the help", () => {
  it.each(allCommands(makeProgram()).map((command) => [command.path(), command] as const))(
    "of %j fits into 80 columns and shows a command line",
    (_, command) => {
      let text = "";
      command.configureOutput({
        writeOut: (part) => {
          text += part;
        },
      });
      command.outputHelp();
      expect(text).toMatch(/^Examples?:\n {2}.*mlx-gemma /m);
      // A command line is not broken: it is there to be copied.
      const lines = text.split("\n").filter((line) => !/^ {2}.*mlx-gemma /.test(line));
      expect(lines.filter((line) => line.length > 80)).toEqual([]);
    },
  );
});
