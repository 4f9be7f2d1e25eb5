#!/usr/bin/env node
// Pictures of the pages for the README, docs/images/*.png, light and dark, in a headless Chromium: the newest bench in
// bench/results/, and a story of the embedded pair.
//
//   npm run docs:images                 (and of a terminal: scripts/record-terminal.mjs)
//
// CHROMIUM: the browser; default: the `chromium` on the path.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const work = mkdtempSync(join(tmpdir(), "mlx-gemma-screenshots-"));
const images = at("docs/images");
mkdirSync(images, { recursive: true });

const mlxGemma = (...args) =>
  execFileSync(process.execPath, [at("bin/mlx-gemma.js"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
const file = (name) => join(work, name);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? execFileSync("which", ["chromium"], { encoding: "utf8" }).trim(),
});
try {
  const benches = readdirSync(at("bench/results")).filter((name) => /^bench-.*\.json$/.test(name));
  mlxGemma("report", at(`bench/results/${benches.sort().at(-1)}`), "--html", file("bench.html"));
  const prompt = "Tell me a story about a fox.";
  mlxGemma("generate", "--draft", "assistant", "--draft-tokens", "4", "--html", file("trace.html"), prompt);
  for (const colorScheme of ["light", "dark"]) {
    await picture("bench", colorScheme);
    await picture("trace", colorScheme, async (page) => {
      // A token that the target wrote in a draft's place tells most.
      await page.locator(".tokens [aria-label*='Instead of']").first().focus();
      await page.evaluate(() => window.scrollTo(0, 0));
    });
  }
} finally {
  await browser.close();
  rmSync(work, { recursive: true, force: true });
}

async function picture(name, colorScheme, prepare = async () => {}) {
  const page = await browser.newPage({ viewport: { width: 900, height: 760 }, colorScheme });
  await page.goto(pathToFileURL(file(`${name}.html`)).href);
  await prepare(page);
  await page.screenshot({ path: join(images, `${name}-${colorScheme}.png`) });
  await page.close();
}
