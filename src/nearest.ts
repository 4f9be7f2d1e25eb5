/** A question after the name that may have been meant; undefined where none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const name = nearestName(word, names);
  return name && `did you mean ${name}?`;
}

/** The name that may have been meant; undefined where none is near. */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  const [best] = names
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(name.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return best?.name;
}

/** Levenshtein's, with neighbours that changed places as one mistake. */
function editDistance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const [left = 0, above = 0, diagonal = 0] = [next[j - 1], row[j], row[j - 1]];
      const swapped = j > 1 && letter === b[j - 2] && a[i - 1] === b[j - 1] ? before[j - 2] : undefined;
      const changed = diagonal + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(left + 1, above + 1, changed, (swapped ?? Number.POSITIVE_INFINITY) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
