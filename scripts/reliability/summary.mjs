/** What a program says that it tried, by its last line of JSON: a summary, or vitest's report. No word is a failure. */
export function summaryOf(code, lines) {
  const said = lines.map(parsed).findLast((line) => typeof line === "object" && line !== null);
  const tried = said?.tried ?? said?.numTotalTests ?? 0;
  const failed = said?.failed ?? said?.numFailedTests ?? 0;
  // One that ended early, tried nothing or failed without a count must not look like success.
  return { tried, failed: failed === 0 && (code !== 0 || tried === 0) ? 1 : failed };
}

function parsed(line) {
  try {
    return line.startsWith("{") ? JSON.parse(line) : undefined;
  } catch {
    return undefined;
  }
}
