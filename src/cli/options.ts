import { Option } from "commander";
import { MlxGemmaError } from "../errors.js";
import { DTYPES, MAX_THREADS } from "../options.js";

/** What a number may be. Bounds are included. */
export interface NumberRange {
  readonly low: number;
  /** Absent: no upper bound. */
  readonly high?: number;
  /** No fractions. */
  readonly whole?: true;
  /** `low` itself is out. */
  readonly above?: true;
}

/** An option whose value is a list with commas. */
export class ListOption extends Option {}

/** An option that may be given several times. */
export class RepeatableOption extends Option {}

/** An option that takes a number; a wrong one is told with what was expected and found. */
export function numberOption(flags: string, description: string, range: NumberRange): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string) => numberFrom(text, range, nameOf(option)));
}

/** A number in its range. @throws MlxGemmaError `usage` that says at `where` what was expected and found */
export function numberFrom(text: string, range: NumberRange, where: string): number {
  const { low, high = Number.MAX_SAFE_INTEGER, whole = false, above = false } = range;
  const kind = whole ? "a whole number" : "a number";
  const bounds = above
    ? `above ${low}, at most ${high}`
    : range.high === undefined
      ? `of at least ${low}`
      : `from ${low} to ${high}`;
  const value = Number(text);
  const fits = value <= high && (above ? value > low : value >= low) && (!whole || Number.isInteger(value));
  if (text.trim() === "" || !fits) throw wrong(where, `${kind} ${bounds}`, text);
  return value;
}

/** An option that takes one of a few words. */
export function choiceOption(flags: string, description: string, choices: readonly string[]): Option {
  const option = new Option(flags, description).choices(choices);
  return option.argParser((text: string) => {
    if (!choices.includes(text))
      throw wrong(nameOf(option), `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`, text);
    return text;
  });
}

/** What weights are cast to at load. */
export function dtypeOption(): Option {
  return choiceOption("--dtype <dtype>", "cast the weights (default: the checkpoint's)", DTYPES);
}

export function threadsOption(): Option {
  const range = { low: 0, high: MAX_THREADS, whole: true } as const;
  return numberOption("--threads <n>", "of the CPU; 0: one for each core", range).default(0);
}

/** An option that takes token ids: `2,5,7`. */
export function idsOption(flags: string, description: string): Option {
  return listOption(flags, description, {
    expected: "token ids such as 2,5,7",
    read: (part) => (/^\s*\d{1,9}\s*$/.test(part) ? Number(part) : undefined),
  });
}

/** How the parts of a list are read. */
export interface ListParts<T> {
  /** For the message about a wrong one. */
  readonly expected: string;
  /** Undefined: not one of them. */
  readonly read: (part: string) => T | undefined;
}

/** An option that takes a list, separated by commas. */
export function listOption<T>(flags: string, description: string, { expected, read }: ListParts<T>): Option {
  const option = new ListOption(flags, description);
  return option.argParser((text: string) =>
    text.split(",").map((part) => {
      const value = read(part);
      if (value === undefined) throw wrong(nameOf(option), expected, text === "" ? text : part);
      return value;
    }),
  );
}

/** An option that takes a text and may be given several times. */
export function textsOption(flags: string, description: string): Option {
  const option = new RepeatableOption(flags, description);
  return option.argParser((text: string, before: readonly string[] | undefined) => {
    if (text === "") throw wrong(nameOf(option), "a text", text);
    return [...(before ?? []), text];
  });
}

function nameOf(option: Option): string {
  return option.long ?? option.flags;
}

function wrong(where: string, expected: string, found: string): MlxGemmaError {
  const shown = found.length > 60 ? `${found.slice(0, 57)}...` : found;
  return new MlxGemmaError("usage", `${where}: expected ${expected}, found ${JSON.stringify(shown)}`);
}
