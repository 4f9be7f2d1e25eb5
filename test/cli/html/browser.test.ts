import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { benchPage } from "../../../src/cli/html/bench-page.js";
import { tracePage } from "../../../src/cli/html/trace-page.js";
import { findChromium } from "../../support/chromium.js";
import { traceOf } from "../../trace/traces.js";
import { HOSTILE, reportOf } from "./pages.js";

const PHONE = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true } as const;
const SCHEMES = ["light", "dark"] as const;

const executablePath = findChromium();
const missing = executablePath
  ? ""
  : " (skipped: no Chromium found; install it, or set CHROMIUM to its path)";

/** A story that is long enough for several lines, with words that can't be broken between letters. */
function story(): string {
  const trace = traceOf(["In", " a", " the", " wood\n"]);
  const [first, second] = trace.rounds;
  if (!first || !second) throw new Error("expected two rounds");
  const long = {
    ...second,
    own: { id: 8, text: "Mississippi".repeat(12), probability: 1, draftProbability: null },
  };
  const rounds = Array.from({ length: 40 }, (_, index) => ({
    ...(index % 9 ? second : long),
    startMs: 10 + 3.3 * index,
  }));
  return tracePage({ ...trace, rounds: [first, ...rounds] });
}

const PAGES: readonly (readonly [string, () => Promise<string>])[] = [
  [
    "a bench",
    async () =>
      benchPage(await reportOf(["chat", "prose", "a-file-of-prompts-with-a-name-that-is-very-long"])),
  ],
  ["a trace", async () => story()],
  ["a hostile trace", async () => tracePage(traceOf([HOSTILE, HOSTILE, HOSTILE, HOSTILE]))],
];

describe.skipIf(!executablePath)(`pages in a browser${missing}`, () => {
  let browser: Browser;
  let complaints: string[];
  let open: Page[];
  beforeAll(async () => {
    browser = await chromium.launch(executablePath ? { executablePath } : {});
    open = [];
  });
  afterEach(async () => {
    for (const page of open.splice(0)) await page.context().close();
  });
  afterAll(() => browser.close());

  async function show(content: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    open.push(page);
    complaints = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => {
      complaints.push(dialog.message());
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      if (request.url() !== "http://page.test/") complaints.push(request.url());
    });
    await page.route("**/*", (route) => route.fulfill({ body: content, contentType: "text/html" }));
    await page.goto("http://page.test/");
    return page;
  }

  const width = (page: Page) => page.evaluate<number>("document.documentElement.scrollWidth");

  async function violations(page: Page): Promise<string[]> {
    await page.evaluate(axe.source);
    return page.evaluate<string[]>(
      "axe.run(document).then(({ violations }) => violations.map(({ id, nodes }) => id + ' ' + nodes[0].html.slice(0, 120)))",
    );
  }

  describe.each(PAGES)("%s", (name, make) => {
    it.each(SCHEMES)(
      "on a phone, %s: nothing is complained of, nothing is wider than the screen",
      async (colorScheme) => {
        const page = await show(await make(), { ...PHONE, colorScheme });
        for (const summary of await page.locator("summary").all()) await summary.tap();
        expect(await width(page)).toBe(360);
        expect(complaints).toEqual([]);
        expect(await page.title()).toMatch(/^mlx-gemma /);
      },
    );

    it.each(SCHEMES)("%s: is accessible, contrast included", async (colorScheme) => {
      const page = await show(await make(), { colorScheme });
      for (const summary of await page.locator("summary").all()) await summary.click();
      expect(await violations(page)).toEqual([]);
    });

    it.each(SCHEMES)("%s: text and parts of charts can be told from their ground", async (colorScheme) => {
      const page = await show(await make(), { colorScheme });
      expect(await contrasts(page)).toEqual([]);
    });

    it("is printed on white, without what only a screen can do", async () => {
      const page = await show(await make(), { colorScheme: "dark" });
      await page.emulateMedia({ media: "print", colorScheme: "dark" });
      expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(
        "rgb(255, 255, 255)",
      );
      for (const detail of await page.locator(".detail").all()) expect(await detail.isVisible()).toBe(false);
      // What a screen folds away stands on paper.
      const folded =
        "[...document.querySelectorAll('details table')].every((table) => table.checkVisibility())";
      expect(await page.evaluate(folded)).toBe(true);
      await page.emulateMedia({ media: "screen" });
      expect(await page.evaluate(folded)).toBe(name !== "a bench");
    });
  });

  describe("tokens", () => {
    const focused = (page: Page) =>
      page.evaluate<string>("document.activeElement.getAttribute('aria-label')");

    it("are reached by keyboard, and tell about themselves", async () => {
      const page = await show(story());
      const detail = page.locator("#token-detail");
      const hint = await detail.textContent();
      // The prompt first, then the tokens.
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      expect(await focused(page)).toMatch(/^"In": the target's own/);
      await page.keyboard.press("ArrowRight");
      expect(await focused(page)).toMatch(/^" a": drafted at place 1 of 2 in round 1/);
      expect(await detail.textContent()).toBe(await focused(page));
      expect(await page.locator("[aria-selected=true]").count()).toBe(1);
      await page.keyboard.press("End");
      expect(await focused(page)).toMatch(/in round 40\./);
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("Home");
      await page.keyboard.press("ArrowLeft");
      expect(await focused(page)).toMatch(/^"In"/);
      // All tokens are one stop; the rounds are the next.
      await page.keyboard.press("Tab");
      expect(await focused(page)).toMatch(/^Reading the prompt/);
      expect(await page.locator("#round-detail").textContent()).toMatch(/^Reading the prompt/);
      expect(hint).toMatch(/arrow keys/);
    });

    it("tell about themselves under the pointer, and forget it behind it", async () => {
      const page = await show(story());
      const detail = page.locator("#token-detail");
      const hint = await detail.textContent();
      await page.locator(".tokens [role=option]").nth(1).hover();
      expect(await detail.textContent()).toMatch(/drafter 88\.0%/);
      await page.locator("h1").hover();
      expect(await detail.textContent()).toBe(hint);
    });

    it("tell about themselves when they are tapped, where one can see it", async () => {
      const page = await show(story(), PHONE);
      await page.locator(".tokens [role=option]").nth(1).tap();
      const detail = page.locator("#token-detail");
      expect(await detail.textContent()).toMatch(/^" a": drafted at place 1/);
      const box = await detail.boundingBox();
      expect((box?.y ?? Number.NaN) + (box?.height ?? Number.NaN)).toBeLessThanOrEqual(640);
    });
  });

  describe("the checks themselves (negative controls)", () => {
    it("notice what is too wide, foreign, or too pale", async () => {
      const storyWith = (more: string) => story().replace("</main>", `${more}</main>`);
      const wide = await show(storyWith(`<pre>${"x".repeat(200)}</pre>`), PHONE);
      expect(await width(wide)).toBeGreaterThan(360);
      for (const foreign of [
        "<img src=http://elsewhere.test/x.png>",
        "<script>document.title = 'x'</script>",
      ]) {
        const page = await show(storyWith(foreign));
        expect(complaints.join()).toMatch(/Content Security Policy/);
        expect(await page.title()).not.toBe("x");
      }
      const page = await show(story());
      await page.evaluate("document.documentElement.style.setProperty('--soft', '#c8c8c8')");
      expect(await violations(page)).toEqual([expect.stringMatching(/^color-contrast /)]);
      expect((await contrasts(page)).length).toBeGreaterThan(0);
    });
  });
});

/**
 * Colours of SVG that are too near to the ground behind them, which axe does not look at: text needs a contrast of 4.5,
 * a part of a chart 3 (WCAG 2.2, 1.4.3 and 1.4.11).
 */
function contrasts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (colour) => {
      const [r, g, b] = channels(colour).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundOf = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor;
        if (channels(colour)[3] !== 0) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const found = [];
    for (const element of document.querySelectorAll("svg text, svg rect, svg circle, svg .interval")) {
      const { fill, stroke } = getComputedStyle(element);
      const colour = element.matches(".interval, .lost, circle, [class^=place]") ? stroke : fill;
      const [a, b] = [luminance(colour), luminance(groundOf(element.closest("svg").parentElement))].sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < (element.matches("text") ? 4.5 : 3)) found.push(element.outerHTML + " " + contrast.toFixed(2));
    }
    return found;
  })()`);
}
