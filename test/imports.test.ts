import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

/** What a file of src/ imports, types too, by its path from there. */
function imports(file: string): string[] {
  const text = readFileSync(join("src", file), "utf8");
  return [...text.matchAll(/ from "(\.[^"]+)\.js"/g)].map(
    ([, path = ""]) => `${join(dirname(file), path)}.ts`,
  );
}

/** All files that a room's files import, by however long a way. */
function reached(room: string): Set<string> {
  const found = new Set(
    readdirSync(join("src", room), { recursive: true, encoding: "utf8" }).map((name) => join(room, name)),
  );
  const files = [...found].filter((name) => name.endsWith(".ts"));
  for (const file of files) {
    for (const other of imports(file)) {
      if (found.has(other)) continue;
      found.add(other);
      files.push(other);
    }
  }
  return found;
}

const UP = ["cli", "chat", "bench", "generate.ts", "load.ts", "speculative", "drafter", "target"];

// The rooms of docs/architecture.md: imports go one way.
it.each([
  ["text", UP],
  ["checkpoint", UP],
  ["mlx", UP],
  ["target", ["cli", "chat", "bench", "generate.ts", "load.ts"]],
  ["drafter", ["cli", "chat", "bench", "generate.ts", "load.ts", "text"]],
])("%s/ imports nothing that stands above it", (room, above) => {
  const wrong = [...reached(room)].filter((file) =>
    above.some((one) => file === one || file.startsWith(`${one}/`)),
  );
  expect(wrong).toEqual([]);
});

it("sees what is imported (control)", () => {
  expect([...reached("cli")]).toEqual(
    expect.arrayContaining(["generate.ts", "text/sink.ts", "mlx/native.ts"]),
  );
});

it("what users of the library compile imports no package, and needs no types of Node.js", () => {
  const files = new Set([join("dist", "index.d.ts")]);
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    expect(text, file).not.toMatch(/\b(?:Buffer|NodeJS)\b/);
    for (const [, name = ""] of text.matchAll(/(?: from |import\()"([^"]+)"/g)) {
      expect(name, file).toMatch(/^\..*\.js$/);
      files.add(join(dirname(file), name.replace(/js$/, "d.ts")));
    }
  }
  expect(files.size).toBeGreaterThan(10);
});
