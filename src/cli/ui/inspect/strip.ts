import type { ModelFacts } from "../../../inspect/schema.js";
import type { Screen } from "../columns.js";
import { wrapWords } from "../wrap.js";

const LABEL = 8;
/** The ruler has a number at every so many layers, and lines break there. */
const STEP = 10;

type Layers = ModelFacts["layers"];

/** The layers, one character each: their types, and whose K/V they read. */
export function layerStrip({ layers, kind }: ModelFacts, { chalk, columns }: Screen): string[] {
  const shared = exporters(layers);
  const types = layers.map(({ type }) => (isFull(type) ? "█" : "░")).join("");
  const marks = layers.map(({ type, kvSource }, i) => {
    const letter = isFull(type) ? "f" : "s";
    if (kvSource !== i) return letter;
    return shared.includes(i) ? letter.toUpperCase() : "·";
  });
  const ruler = layers.reduce((line, _, i) => (i % STEP === 0 ? line.padEnd(i) + i : line), "");
  const width = Math.min(layers.length, Math.max(STEP, Math.floor((columns - LABEL) / STEP) * STEP));
  const indent = " ".repeat(LABEL);
  const lines: string[] = [];
  for (let from = 0; from < layers.length; from += width) {
    const part = (line: string) => line.slice(from, from + width).trimEnd();
    lines.push(
      chalk.dim(`${"layers".padEnd(LABEL)}${part(ruler)}`),
      indent + part(types),
      "K/V".padEnd(LABEL) + part(marks.join("")),
    );
  }
  const legend = kind === "assistant" ? assistantLegend(layers) : targetLegend(layers, shared);
  return [
    ...lines,
    ...legend.flatMap((line) => wrapWords(line, columns - LABEL)).map((line) => indent + line),
  ];
}

/** The last producer of each type: layers that share, and an assistant, read its K/V. */
function exporters(layers: Layers): number[] {
  return (["sliding_attention", "full_attention"] as const)
    .map((wanted) => layers.findLastIndex(({ type, kvSource }, i) => type === wanted && kvSource === i))
    .filter((index) => index >= 0);
}

function typesLegend(layers: Layers): string {
  const full = layers.filter(({ type }) => isFull(type)).length;
  return `░ sliding (${layers.length - full})  █ full (${full})`;
}

function assistantLegend(layers: Layers): string[] {
  return [typesLegend(layers), "s, f: reads the target's K/V"];
}

function targetLegend(layers: Layers, shared: readonly number[]): string[] {
  const lines = shared.map((source) => {
    const letter = isFull(layers[source]?.type) ? "f" : "s";
    const readers = layers.filter(({ kvSource }, i) => kvSource === source && i !== source).length;
    const others = readers > 0 ? `${readers} more (${letter}) and ` : "";
    return `${letter.toUpperCase()} layer ${source}: its K/V is read by ${others}the assistant`;
  });
  return [typesLegend(layers), "· K/V of its own", ...lines];
}

function isFull(type: string | undefined): boolean {
  return type === "full_attention";
}
