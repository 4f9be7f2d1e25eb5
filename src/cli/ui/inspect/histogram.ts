import type { Histogram } from "../../../inspect/schema.js";

const LEVELS = " ▁▂▃▄▅▆▇█";

/** A histogram on one line. @param width of at most as many columns as there are bins, a divisor of them */
export function sparkline({ bins }: Histogram, width = 16): string {
  const sums = summed(bins, width);
  const most = Math.max(...sums);
  // What is there is seen, however little.
  return sums.map((sum) => LEVELS[sum === 0 ? 0 : Math.max(1, Math.round((8 * sum) / most))] ?? "").join("");
}

/** A histogram of several lines, with its ends below. */
export function plot(histogram: Histogram, height: number, number: (value: number) => string): string[] {
  const { bins, low, high, below, above } = histogram;
  const most = Math.max(...bins);
  const eighths = bins.map((bin) => (bin === 0 ? 0 : Math.max(1, Math.round((8 * height * bin) / most))));
  const rows = Array.from({ length: height }, (_, row) => {
    const floor = 8 * (height - 1 - row);
    return eighths
      .map((level) => LEVELS[Math.min(8, Math.max(0, level - floor))] ?? "")
      .join("")
      .trimEnd();
  });
  const [left, right] = [number(low), number(high)];
  const ends = `${left}${right.padStart(Math.max(right.length + 1, bins.length - left.length))}`;
  const beyond = below + above > 0 ? [`${below} values below, ${above} above`] : [];
  return [...rows, ends, ...beyond];
}

function summed(bins: readonly number[], width: number): number[] {
  const each = bins.length / width;
  return Array.from({ length: width }, (_, i) =>
    bins.slice(i * each, (i + 1) * each).reduce((sum, bin) => sum + bin, 0),
  );
}
