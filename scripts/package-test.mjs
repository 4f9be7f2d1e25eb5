#!/usr/bin/env node
// `npm run test:package`: packs the package, installs it in an empty folder and runs it there. Builds the addon, which
// takes minutes without ccache, hence no part of `npm test`. The last line: `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "mlx-gemma-package-"));
/** Folders and kinds of files that only those who develop mlx-gemma need. */
const DEVELOPMENT =
  /^(test|bench|training|docs|src|build|\.ci|node_modules)\/|\.(ts|test\.\w+|py)$|tests?\.mjs$|(^|\/)tests?\//;
let [passed, failed] = [0, 0];

try {
  const [pack] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", work], root));
  const files = pack.files.map(({ path }) => path);
  const strange = files.filter((path) => DEVELOPMENT.test(path.replace(/\.d\.ts$/, ".d")));
  check("the package holds no development files", strange.length === 0, strange.join(", "));
  for (const needed of [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/bundle/main.js",
    "CMakeLists.txt",
    "LICENSE",
  ]) {
    check(`the package holds ${needed}`, files.includes(needed));
  }
  console.log(`${pack.filename}: ${files.length} files, ${(pack.size / 1e6).toFixed(1)} MB packed`);

  const home = join(work, "empty");
  mkdirSync(home);
  writeFileSync(join(home, "package.json"), '{ "private": true, "type": "module" }\n');
  run("npm", ["install", "--no-audit", "--no-fund", "--foreground-scripts", join(work, pack.filename)], home);
  const installed = JSON.parse(readFileSync(join(home, "package-lock.json"), "utf8")).packages;
  const tools = Object.keys(installed).filter((path) =>
    /\/(vitest|typescript|esbuild|typedoc|@biomejs\/biome)$/.test(path),
  );
  check("no development packages are installed", tools.length === 0, tools.join(", "));

  const help = run("npx", ["--no-install", "mlx-gemma", "--version"], home);
  check("--version", /^mlx-gemma \d+\.\d+\.\d+\nMLX \d/.test(help), help);
  const args = [
    "--no-install",
    "mlx-gemma",
    "generate",
    "--draft",
    "assistant",
    "--json",
    "-n",
    "24",
    "Tell me a story about a fox.",
  ];
  const { text, stats } = JSON.parse(run("npx", args, home));
  check("generate writes a story", /fox/.test(text), text);
  check("generate drafts", stats.tokensPerStep > 1, String(stats.tokensPerStep));
  const doctor = JSON.parse(run("npx", ["--no-install", "mlx-gemma", "doctor", "--offline", "--json"], home));
  const self = doctor.checks.find(({ id }) => id === "self-test");
  check("doctor's self-test", self?.status === "ok", self?.found);

  writeFileSync(
    join(home, "use.js"),
    'import { load } from "mlx-gemma"; const pair = await load(); console.log(pair.exact); pair[Symbol.dispose]();',
  );
  const exact = run(process.execPath, ["use.js"], home).trim();
  check("the library loads", /^(by construction|measured|not exact)$/.test(exact), exact);

  // As those who use TypeScript write it, without types of Node.js; declarations are checked, too.
  const app = `import { Conversation, generate, load, PromptCache } from "mlx-gemma";
    using pair = await load({ draft: "assistant" });
    using cache = new PromptCache(pair);
    const promptIds: number[] = await pair.encodePrompt("Tell me a story about a fox.");
    for await (const event of generate(pair, { promptIds, cache, signal: AbortSignal.timeout(10_000) })) {
      if (event.type === "end") console.log(event.stats.tokensPerStep, pair.tokenizer?.decode(event.tokenIds));
    }
    using chat = new Conversation(pair, { system: "Be brief." });
    for await (const event of chat.send("Hi")) console.log(event.type);`;
  writeFileSync(join(home, "app.ts"), app);
  const options = "--strict --noEmit --module nodenext --target es2022 --lib es2023,esnext.disposable,dom";
  const compiler = [join(root, "node_modules/typescript/bin/tsc"), ...options.split(" "), "app.ts"];
  const { status, stdout } = spawnSync(process.execPath, compiler, { cwd: home, encoding: "utf8" });
  check("the library's types compile", status === 0, stdout);
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function check(what, holds, found = "") {
  if (holds) passed++;
  else failed++;
  console.log(`${holds ? "ok" : "FAILED"}  ${what}${holds || found === "" ? "" : `: ${found}`}`);
}

/** Runs a program without what this run's npm put into the environment; its stdout. */
function run(program, args, cwd) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD$)/.test(name)),
  );
  const { status, stdout, error } = spawnSync(program, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")}: ended with ${status ?? error}\n${stdout}`);
}
