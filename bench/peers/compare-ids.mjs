// Whether two implementations wrote the same ids, and where not, how near a tie it was.

/**
 * Compares texts, prompt by prompt.
 *
 * @param theirs,ours lists of ids by prompt
 * @param marginAt (prompt index, ids) → our two best tokens after those ids and how far apart their logits are
 * @returns `{ equal, of, first? }`: `first` of the earliest difference
 */
export async function compareIds(theirs, ours, marginAt) {
  let equal = 0;
  let first;
  for (const [prompt, ids] of ours.entries()) {
    const other = theirs[prompt] ?? [];
    const at = ids.findIndex((id, i) => other[i] !== id);
    if (at < 0 && other.length === ids.length) equal++;
    else if (at >= 0 && (first === undefined || at < first.at)) {
      first = { prompt, at, ours: ids[at], theirs: other[at] };
    }
  }
  if (first && marginAt) {
    const { best, margin } = await marginAt(first.prompt, ours[first.prompt].slice(0, first.at));
    first.margin = margin;
    first.secondBest = best[1] === first.theirs;
  }
  return { equal, of: ours.length, ...(first ? { first } : {}) };
}

/** A comparison in words. */
export function inWords({ equal, of, first }) {
  if (!first) return `${equal} of ${of} texts equal`;
  const near =
    first.margin === undefined
      ? ""
      : `, where our logits of the two best tokens are ${first.margin.toFixed(4)} apart${first.secondBest ? " and it takes the second" : ""}`;
  return `${equal} of ${of} texts equal; first difference at token ${first.at}${near}`;
}
