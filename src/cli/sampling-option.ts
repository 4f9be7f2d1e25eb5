import type { Option } from "commander";
import { MlxGemmaError } from "../errors.js";
import type { SamplingOptions } from "../speculative/sampling.js";
import { RepeatableOption } from "./options.js";

const NAMES: Readonly<Record<string, keyof SamplingOptions>> = {
  T: "temperature",
  "top-k": "topK",
  "top-p": "topP",
  "min-p": "minP",
  seed: "seed",
};

/** One way to sample, as it was given; its values are checked when it is used, since that code is not quick to load. */
export interface GivenSampling {
  readonly name: string;
  /** Nothing: greedy. */
  readonly options: Partial<SamplingOptions>;
}

/** `--sampling`: `greedy`, or `T=0.7` with more such parts after commas; may be given several times. */
export function samplingOption(flags: string, description: string): Option {
  const option = new RepeatableOption(flags, description);
  return option.argParser((text: string, before: readonly GivenSampling[] | undefined) => [
    ...(before ?? []),
    readSampling(text, option.long ?? option.flags),
  ]);
}

function readSampling(text: string, option: string): GivenSampling {
  if (text === "greedy") return { name: text, options: {} };
  const wrong = (found: string) =>
    new MlxGemmaError(
      "usage",
      `${option}: expected greedy, or a temperature above 0 such as T=0.7, with ${Object.keys(NAMES).slice(1).join(", ")} after commas (T=0.7,top-p=0.95), found ${JSON.stringify(found.slice(0, 60))}`,
    );
  const given = text.split(",").map((part) => {
    const [, name = "", value = ""] = /^([a-zA-Z-]+)=([\d.eE+-]+)$/.exec(part) ?? [];
    const key = Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
    if (key === undefined) throw wrong(part);
    return [key, Number(value)] as const;
  });
  const options: Partial<SamplingOptions> = Object.fromEntries(given);
  if (!options.temperature) throw wrong(text);
  return { name: text, options };
}
