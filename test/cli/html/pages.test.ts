import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { benchPage } from "../../../src/cli/html/bench-page.js";
import { ticksUpTo } from "../../../src/cli/html/charts.js";
import { html } from "../../../src/cli/html/markup.js";
import { tracePage } from "../../../src/cli/html/trace-page.js";
import { traceOf } from "../../trace/traces.js";
import { HOSTILE, reportOf } from "./pages.js";

const count = (page: string, pattern: RegExp) => page.match(pattern)?.length ?? 0;
const STORY = traceOf(["In", " a", " the", " wood\n"]);

describe("html", () => {
  it("escapes what is put in, joins lists and leaves its own as they are", () => {
    const inner = html`<b>${"<&>"}</b>`;
    expect(html`<p title="${`"'`}">${[inner, 3, undefined, ["a", inner]]}</p>`.source).toBe(
      '<p title="&quot;&#39;"><b>&lt;&amp;&gt;</b>3a<b>&lt;&amp;&gt;</b></p>',
    );
  });
});

describe("ticks", () => {
  it.each<[number, number[]]>([
    [1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [1.3, [0, 0.5, 1]],
    [2.6, [0, 1, 2]],
    [7, [0, 2, 4, 6]],
  ])("up to %d", (most, ticks) => expect(ticksUpTo(most)).toEqual(ticks));
});

describe.each<[string, () => Promise<string>]>([
  ["a bench", async () => benchPage(await reportOf())],
  ["a trace", async () => tracePage(STORY)],
])("the page of %s", (_, make) => {
  it("is one file that loads nothing and runs its own script alone", async () => {
    const page = await make();
    expect(page).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
    expect(page).not.toMatch(/https?:|url\(|@import|<link|<img|<iframe|\ssrc=|\sstyle=|\son\w+=/);
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll("&#39;", "'");
    for (const element of ["style", "script"]) {
      const content = new RegExp(`<${element}>([\\s\\S]*)</${element}>`).exec(page)?.[1] ?? "";
      const hash = createHash("sha256").update(content).digest("base64");
      expect(policy).toContain(`${element}-src 'sha256-${hash}'`);
    }
    expect(policy).toMatch(/^default-src 'none';/);
    expect(page).toContain("prefers-color-scheme: dark");
  });

  it("has coordinates that are numbers", async () => {
    const body = (await make()).replace(/<style>[\s\S]*<\/style>|<script>[\s\S]*<\/script>/g, "");
    expect(body).not.toMatch(/NaN|undefined|Infinity|="-\d[^"]*" height|\[object/);
  });
});

describe("the page of a bench", () => {
  it("tells the verdict, and draws every suite's speed-ups, places and times", async () => {
    const report = await reportOf();
    const page = benchPage(report);
    expect(page).toContain(`<p class="verdict">${report.verdict.text}</p>`);
    expect(count(page, /<svg /g)).toBe(6);
    expect(count(page, /class="interval"/g)).toBe(6);
    // K = 1 gains nothing.
    expect(count(page, /class="point unsure"/g)).toBe(2);
    expect(count(page, /class="point faster"/g)).toBe(4);
    // Of K = 6, in two suites.
    expect(count(page, /class="bar"/g)).toBe(12);
    expect(count(page, /<rect class="verify"/g)).toBe(8);
    const row = report.rows.find(({ draftTokens, suite }) => draftTokens === 3 && suite === "chat");
    expect(page).toContain(`K = 3: ${row?.speedUp.median.toFixed(2)} (`);
  });

  it("of plain decoding alone has no empty charts", async () => {
    const report = await reportOf();
    const rows = report.rows.filter(({ draftTokens }) => draftTokens === 0);
    const page = benchPage({ ...report, rows });
    expect(count(page, /<svg /g)).toBe(2);
    expect(page).not.toContain("Speed-up");
  });

  it("of nothing is the verdict", async () => {
    const page = benchPage({ ...(await reportOf()), rows: [], complete: false });
    expect(count(page, /<svg /g)).toBe(0);
    expect(page).toContain("Interrupted");
  });
});

describe("the page of a trace", () => {
  it("shows every token of the answer once, by who wrote it", () => {
    const page = tracePage(STORY);
    const tokens = [
      ...page.matchAll(/<span role="option" class="([^"]*)" tabindex="([^"]*)"[^>]*>([^<]*)</g),
    ];
    expect(tokens.map(([, style, tab, text]) => [style, tab, text])).toEqual([
      ["own", "0", "In"],
      ["place-1", "-1", " a"],
      ["own", "-1", " wood↵\n"],
    ]);
  });

  it("tells place, round and both probabilities, and what was rejected", () => {
    const page = tracePage(STORY).replaceAll("&quot;", '"');
    expect(page).toContain(
      'aria-label="" a": drafted at place 1 of 2 in round 1. Target 93.0%, drafter 88.0%."',
    );
    expect(page).toContain(
      '" wood\\n": the target&#39;s own in round 1. Target above 99.9%, drafter 20.0%. Instead of the draft " the": Target',
    );
    expect(page).toContain("Round 1, at 10 ms: 1 of 2 drafts accepted, 2 tokens in 3.30 ms");
  });

  it("shows ids where there is no text", () => {
    const trace = traceOf(["In", " a", " the", ""]);
    const page = tracePage({ ...trace, prompt: { ...trace.prompt, text: null } });
    expect(page).toContain('<span class="special">⟨7⟩</span>');
    expect(page).toContain(">3 token ids<");
  });

  it("of an answer that has no token says so", () => {
    const trace = { ...STORY, rounds: [], stats: { ...STORY.stats, targetSteps: 0, proposed: 0 } };
    expect(tracePage(trace)).toContain("No token was decided.");
  });
});

it("pages do not tell how the folders of a machine are called", async () => {
  const snapshot = "/home/me/.cache/huggingface/hub/models--google--gemma-4-E2B-it-assistant/snapshots/abc";
  const places = { model: "/home/me/models/gemma-4-E2B-it", assistant: snapshot };
  const trace = traceOf(["In", " a", " the", " wood\n"]);
  const report = await reportOf();
  const comparison = {
    file: "/home/me/before.json",
    date: report.about.date,
    tolerance: 0.1,
    speedsJudged: true,
    figures: [],
    notes: [],
  };
  for (const page of [
    tracePage({ ...trace, settings: { ...trace.settings, ...places } }),
    benchPage({ ...report, settings: { ...report.settings, ...places }, comparison }),
  ]) {
    expect(page).toContain("gemma-4-E2B-it, drafted by google/gemma-4-E2B-it-assistant");
    expect(page).not.toContain("/home");
  }
});

describe("hostile text", () => {
  it("stays text", async () => {
    const trace = traceOf([HOSTILE, HOSTILE, HOSTILE, HOSTILE]);
    const hostile = { ...trace.settings, model: HOSTILE, assistant: HOSTILE };
    const report = await reportOf([HOSTILE]);
    const settings = { ...report.settings, model: HOSTILE };
    const pages = [
      tracePage({ ...trace, settings: hostile, prompt: { text: HOSTILE, tokenIds: [1] } }),
      benchPage({ ...report, settings, verdict: { ...report.verdict, text: HOSTILE } }),
    ];
    for (const page of pages) {
      expect(count(page, /<script/g)).toBe(1);
      expect(count(page, /<img/g)).toBe(0);
      expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;");
    }
  });
});
