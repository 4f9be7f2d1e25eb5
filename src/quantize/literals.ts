/**
 * JSON whose numbers keep their spelling: `30.0` must not become `30`, as readers in Python tell floats from whole
 * numbers by it. A parsed number is a text with a mark before it.
 */
const MARK = "\u0000number:";

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Parses a text that is known to be JSON. */
export function parseLiterally(text: string): unknown {
  const marked = text.replace(TOKEN, (token) =>
    token.startsWith('"') ? token : JSON.stringify(MARK + token),
  );
  return JSON.parse(marked);
}

/** A number that stands for a float in Python: `30` is written as `30.0`. */
export function float(value: number): string {
  return MARK + (Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : String(value));
}

/** As JSON, indented by four; marked numbers as they were spelled. */
export function stringifyLiterally(value: unknown): string {
  const text = JSON.stringify(value, null, 4);
  return text.replace(/"\\u0000number:(-?\d[\d.eE+-]*)"/g, "$1");
}
