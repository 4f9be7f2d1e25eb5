/** A count for people, in powers of 1000: `2.28 B`, `671 M`. */
export function count(value: number): string {
  const unit = ["", " k", " M", " B", " T"].findIndex((_, i) => value < 999.5 * 1000 ** i || i === 4);
  const scaled = value / 1000 ** unit;
  return unit === 0 ? String(value) : `${scaled.toPrecision(3)}${["", " k", " M", " B", " T"][unit]}`;
}

/** A value of a weight, in four digits. */
export function value(number: number | null): string {
  if (number === null) return "-";
  if (Number.isInteger(number) && Math.abs(number) < 1e6) return String(number);
  return number
    .toPrecision(4)
    .replace(/(?:(\.\d*?)0+)(?=e|$)/, "$1")
    .replace(/\.(?=e|$)/, "");
}

/** Positions of a context: `8k`. */
export function positions(context: number): string {
  return context % 1024 === 0 ? `${context / 1024}k` : String(context);
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
