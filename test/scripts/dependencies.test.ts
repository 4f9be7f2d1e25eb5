import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "../../src/zod.js";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const manifest = z
  .object({
    version: z.string(),
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    scripts: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read("package.json")));
const lock = z
  .object({
    packages: z.record(
      z.string(),
      z.looseObject({ hasInstallScript: z.boolean().optional(), dev: z.boolean().optional() }),
    ),
  })
  .parse(JSON.parse(read("package-lock.json")));
const page = read("docs/dependencies.md");

/** The packages in the first column of the table below a heading, and what is said of them. */
function table(heading: string): [name: string, reason: string][] {
  const part = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? "";
  return [...part.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map(([, name = "", reason = ""]) => [
    name,
    reason,
  ]);
}

describe("docs/dependencies.md", () => {
  it.each([
    ["At run time", manifest.dependencies],
    ["For development", manifest.devDependencies],
  ])("%s: names what package.json names, with a reason", (heading, wanted) => {
    const rows = table(heading);
    expect(rows.map(([name]) => name)).toEqual(Object.keys(wanted).sort());
    for (const [name, reason] of rows) expect(reason, name).toMatch(/\w+ \w+|\w{5,}/);
  });

  it("pins every version", () => {
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it("names every install script: ours, and esbuild's, which is not shipped", () => {
    const scripts = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript);
    expect(scripts.map(([path, { dev }]) => [path, dev === true])).toEqual([
      ["", false],
      ["node_modules/esbuild", true],
    ]);
    expect(page).toContain("`esbuild` has one");
    const hooks = Object.keys(manifest.scripts).filter((name) => /^(pre|post)?(install|prepare)$/.test(name));
    expect(hooks).toEqual(["install"]);
  });
});

describe("npm run sbom", () => {
  const component = z.looseObject({
    name: z.string(),
    version: z.string(),
    hashes: z.array(z.object({ alg: z.string(), content: z.string() })),
    licenses: z.array(z.unknown()).min(1),
  });
  const bill = z.object({
    bomFormat: z.literal("CycloneDX"),
    metadata: z.object({ component: z.looseObject({ name: z.string(), version: z.string() }) }),
    components: z.array(component),
  });
  const { status, stderr } = spawnSync(process.execPath, ["scripts/sbom.mjs"], {
    cwd: root,
    encoding: "utf8",
  });
  const text = status === 0 ? read("build/sbom.cdx.json") : "";

  it("lists what is shipped, each with its hash and licence", () => {
    expect([status, stderr]).toEqual([0, ""]);
    const { components, metadata } = bill.parse(JSON.parse(text));
    expect(metadata.component).toMatchObject({ name: "mlx-gemma", version: manifest.version });
    const names = components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
    expect(names).toEqual(expect.arrayContaining(["mlx-cpu", "mlx-metal", "mlx-cuda-13"]));
    expect(names).not.toContain("vitest");
    for (const { name, hashes } of components)
      expect(hashes[0]?.content, name).toMatch(/^([0-9a-f]{64}|[0-9a-f]{128})$/);
  });

  it("has the digests of the files", () => {
    const { components } = bill.parse(JSON.parse(text));
    for (const part of ["target", "assistant"]) {
      const file = readFileSync(join(root, "models", "tiny-gemma4", part, "model.safetensors"));
      const listed = components.find(({ name }) => name === `tiny-gemma4/${part}/model.safetensors`);
      expect(listed?.hashes[0]?.content).toBe(createHash("sha256").update(file).digest("hex"));
    }
  });
});
