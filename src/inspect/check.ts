import { isTextTensor } from "../checkpoint/hub/selection.js";
import { checkpointError, quote } from "../checkpoint/json.js";
import type { SurveyedModel } from "../checkpoint/survey.js";
import type { MlxGemmaError } from "../errors.js";
import { counted } from "../units.js";
import { warningText } from "../warnings.js";
import type { LogicalTensor } from "./logical.js";
import { headerFlaw, type Inspected } from "./open.js";
import type { CheckView } from "./schema.js";
import { type ReadingOptions, sumUp } from "./stats.js";
import { decodePlain } from "./values/decode.js";

const TOKEN_ORDERING = "masked_embedding.token_ordering";
const AGAIN = "download the file again";

/**
 * Everything that is wrong with a checkpoint: its headers, index and config, tensors that are missing, unexpected or of
 * another shape, values that are no numbers, and a `token_ordering` that is no permutation. Values are not read by a header
 * that has a flaw.
 *
 * @param readValues whether to read all weights; without, NaN and infinity are not looked for
 */
export async function check(
  inspected: Inspected,
  options: ReadingOptions & { readonly readValues: boolean },
): Promise<CheckView> {
  const { findings, notes } = unexpected(inspected);
  const readable = inspected.tensors.filter((tensor) => !headerFlaw(inspected, tensor));
  const all = [
    ...inspected.findings,
    ...findings,
    ...(await orderingFindings(inspected)),
    ...(options.readValues ? await valueFindings(readable, options) : []),
  ];
  return {
    view: "check",
    checkpoint: inspected.facts,
    findings: all.map(({ code, message }) => ({ code, message })),
    notes: [
      ...(inspected.model?.warnings ?? []).map(warningText),
      ...notes,
      ...absentNote(inspected),
      ...(options.readValues ? unreadNote(inspected.tensors.length - readable.length) : []),
    ],
    valuesRead: options.readValues,
  };
}

/** Tensors beside those that the model needs. */
function unexpected({ model, tensors, canonical, survey, facts }: Inspected): {
  readonly findings: MlxGemmaError[];
  readonly notes: string[];
} {
  const findings: MlxGemmaError[] = [];
  const unused: string[] = [];
  for (const { name } of model ? tensors : []) {
    const own = canonical(name);
    // What is wrong with a tensor that is asked for, or with the scales of one, has been told.
    const asked =
      model?.expected.has(own) || model?.expected.has(own.replace(/\.(?:scales|biases)$/, ".weight"));
    if (!model || asked || !isTextTensor(name)) continue;
    if (isUnusedKv(own, model)) unused.push(name);
    else {
      findings.push(
        checkpointError(
          survey.tensors.get(name)?.file ?? facts.name,
          `expected no tensor ${quote(name)} in a ${model.config.modelType}, found it; is this config.json the one of these weights?`,
        ),
      );
    }
  }
  const [first] = unused;
  const note = `${unused.length} tensors of layers that share another's K/V are not read, ${first && quote(first)} among them`;
  return { findings, notes: first === undefined ? [] : [note] };
}

/** Keys and values of a layer that reads another's: a checkpoint may carry them. */
function isUnusedKv(canonical: string, model: SurveyedModel): boolean {
  const [, index] = /^layers\.(\d+)\.self_attn\.(?:k_proj|v_proj|k_norm)\./.exec(canonical) ?? [];
  if (index === undefined || model.kind !== "target") return false;
  const layer = model.config.layers[Number(index)];
  return layer !== undefined && layer.kvSource !== Number(index);
}

function absentNote({ survey, findings }: Inspected): string[] {
  const absent = survey.absent.filter((name) => !isTextTensor(name));
  if (absent.length === 0 || findings.length > 0) return [];
  return [
    `${absent.length} tensors of vision and sound lie in shards that are not there; text needs none of them`,
  ];
}

function unreadNote(tensors: number): string[] {
  if (tensors === 0) return [];
  return [
    `the values of ${counted(tensors, "tensor")} were not read, since the header of their file has a flaw`,
  ];
}

/** Whether the table of a centroid head lists every token once. */
async function orderingFindings({ model, survey }: Inspected): Promise<MlxGemmaError[]> {
  const planned = model?.kind === "assistant" ? model.plan.tensors.get(TOKEN_ORDERING) : undefined;
  const info = planned && survey.tensors.get(planned.name);
  if (!info || survey.shards.some(({ name, flaw }) => flaw && name === info.shard)) return [];
  const bytes = await survey.files.read(info.shard, info.offset, info.bytes);
  // Into a buffer of its own: elements must stand at multiples of their size.
  const ids = decodePlain(new Uint8Array(bytes), info.dtype);
  const seen = new Uint8Array(ids.length);
  for (const [place, id] of ids.entries()) {
    const isToken = id >= 0 && id < seen.length;
    if (isToken && seen[id] === 0) {
      seen[id] = 1;
      continue;
    }
    return [
      checkpointError(
        info.file,
        `tensor ${TOKEN_ORDERING}: expected a permutation of 0 to ${seen.length - 1}, found ${id} ${isToken ? "a second time" : ""} at place ${place}; ${AGAIN}`.replace(
          "  ",
          " ",
        ),
      ),
    ];
  }
  return [];
}

async function valueFindings(
  tensors: readonly LogicalTensor[],
  options: ReadingOptions,
): Promise<MlxGemmaError[]> {
  // Integers are all numbers.
  const floats = tensors.filter(({ parameters }) => parameters > 0);
  const findings = await sumUp(floats, { ...options, channels: false }, ({ name, encoded }, { nan, inf }) => {
    if (nan + inf === 0) return [];
    const { file } = encoded.kind === "plain" ? encoded.stored : encoded.weight;
    const found = [...(nan > 0 ? [`${nan} NaN`] : []), ...(inf > 0 ? [`${inf} infinite`] : [])].join(" and ");
    return [checkpointError(file, `tensor ${quote(name)}: expected numbers, found ${found}; ${AGAIN}`)];
  });
  return findings.flat();
}
