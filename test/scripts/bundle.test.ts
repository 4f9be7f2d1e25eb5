import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../cli/helpers.js";

const filesIn = (folder: string, ending: RegExp) =>
  readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: "utf8" })
    .filter((path) => ending.test(path))
    .map((path) => join(folder, path));

it("modules that look for the package are two folders below it, as the bundle of the command is", () => {
  const looking = filesIn("src", /\.ts$/).filter((path) =>
    /new URL\("\.\.\/|new URL\(`\.\.\//.test(readFileSync(`${ROOT}${path}`, "utf8")),
  );
  expect(looking.length).toBeGreaterThan(2);
  expect(looking.filter((path) => path.split("/").length !== 3)).toEqual([]);
});

it("--help loads no colours, no schemas and nothing native", () => {
  const loaded = new Set<string>();
  const load = (name: string) => {
    if (loaded.has(name)) return;
    loaded.add(name);
    const text = readFileSync(`${ROOT}dist/bundle/${name}`, "utf8");
    for (const [, next = ""] of text.matchAll(/^(?:import|\} from) .*?"(\.\/[^"]+|[^"]+)";$/gm)) {
      if (next.startsWith("./")) load(next.slice(2));
      else loaded.add(next);
    }
  };
  load("main.js");
  const packages = [...loaded].filter((name) => !name.endsWith(".js") && !isBuiltin(name));
  expect(packages).toEqual(["commander"]);
});

it("a script imports no package that package.json does not name", () => {
  const {
    dependencies,
    devDependencies,
  }: Record<string, Record<string, string>> = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
  const named = new Set(["mlx-gemma", ...Object.keys({ ...dependencies, ...devDependencies })]);
  const scripts = ["bench", "bin", "examples", "scripts"].flatMap((folder) => filesIn(folder, /\.m?js$/));
  const strange = scripts.flatMap((path) =>
    [...readFileSync(`${ROOT}${path}`, "utf8").matchAll(/(?:from|import\()\s*"([^".][^"]*)"/g)]
      .map(([, name = ""]) => name)
      .filter(
        (name) => !isBuiltin(name) && !named.has(name.split("/", name.startsWith("@") ? 2 : 1).join("/")),
      )
      .map((name) => `${path}: ${name}`),
  );
  expect(scripts.length).toBeGreaterThan(20);
  expect(strange).toEqual([]);
});
