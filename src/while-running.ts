/**
 * Yields what `work` reports while it runs, then returns what it resolves to. A consumer that leaves early hears
 * nothing more of it, its failure included.
 */
export async function* whileRunning<P, T>(
  work: (report: (progress: P) => void) => Promise<T>,
): AsyncGenerator<P, T, void> {
  const reports: P[] = [];
  let done = false;
  let wake = () => {};
  const result = work((progress) => {
    reports.push(progress);
    wake();
  });
  const ended = () => {
    done = true;
    wake();
  };
  result.then(ended, ended);
  while (!done || reports.length > 0) {
    if (reports.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    yield* reports.splice(0);
  }
  return await result;
}
