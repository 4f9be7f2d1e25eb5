import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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
    for (const name of [
      "generate",
      "chat",
      "bench",
      "pull",
      "models",
      "models rm",
      "quantize",
      "completion",
    ]) {
      const [, section = ""] = page.split(`## \`mlx-gemma ${name}\`\n`);
      expect(section.split("\n## ")[0]).toContain(`\n    mlx-gemma ${name}`);
      expect(section.split("\n## ")[0]).toMatch(new RegExp(`\\n    .*mlx-gemma ${name}.*$`, "m"));
    }
  });
});
