import { InvalidArgumentError } from "commander";

/** Parsers for option values: a wrong one names what was expected and found. */
export function numberBetween(low: number, high: number, integer = false): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
      const kind = integer ? "a whole number" : "a number";
      throw new InvalidArgumentError(`Expected ${kind} from ${low} to ${high}, found "${text}".`);
    }
    return value;
  };
}

export const wholeNumber = (low: number, high: number) => numberBetween(low, high, true);

/** `2,5,7` → ids. */
export function idList(text: string): number[] {
  return text.split(",").map((part) => {
    if (!/^\s*\d{1,9}\s*$/.test(part)) {
      throw new InvalidArgumentError(`Expected token ids such as 2,5,7, found "${part}".`);
    }
    return Number(part);
  });
}

/** For options that may be given several times. */
export const collect = (text: string, before: readonly string[]): string[] => [...before, text];
