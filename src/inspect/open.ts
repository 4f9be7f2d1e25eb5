import type { CheckpointFiles } from "../checkpoint/files.js";
import type { RemoteFiles } from "../checkpoint/hub/index.js";
import { type Report, reporting } from "../checkpoint/report.js";
import { type Survey, type SurveyedModel, surveyCheckpoint, surveyedModel } from "../checkpoint/survey.js";
import { MlxGemmaError } from "../errors.js";
import { type LogicalTensor, logicalTensors } from "./logical.js";
import { type Canonical, canonicalNames } from "./names.js";
import type { CheckpointFacts } from "./schema.js";

/** A checkpoint, opened to be looked at: what its headers say, whatever is wrong with it. */
export interface Inspected {
  readonly survey: Survey;
  /** Absent: config.json can't be resolved; the findings say why. */
  readonly model?: SurveyedModel;
  readonly findings: readonly MlxGemmaError[];
  readonly canonical: Canonical;
  readonly tensors: readonly LogicalTensor[];
  readonly facts: CheckpointFacts;
}

/** Opens a checkpoint. @throws MlxGemmaError `hub` or `aborted` where the hub can't be read */
export async function inspectFiles(files: CheckpointFiles | RemoteFiles): Promise<Inspected> {
  // Many tensors of one missing file tell the same.
  const findings = new Map<string, MlxGemmaError>();
  const report: Report = (flaw) => {
    if (!findings.has(flaw.message)) findings.set(flaw.message, flaw);
  };
  const survey = await surveyCheckpoint(files, report);
  const { config, tensors } = survey;
  // Without a single tensor a plan could only say that all of them are missing.
  const model =
    config && tensors.size > 0
      ? reporting(report, undefined, () => surveyedModel(survey, config, report))
      : undefined;
  const canonical = canonicalNames(model?.kind, survey.directory);
  return {
    survey,
    ...(model ? { model } : {}),
    findings: [...findings.values()],
    canonical,
    tensors: logicalTensors(tensors, model?.packing, canonical),
    facts: {
      name: files.name,
      folder: files.folder ?? null,
      commit: "commit" in files ? files.commit : null,
      bytes: survey.shards.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
      shards: survey.shards.map(({ name, bytes = null }) => ({ name, bytes })),
    },
  };
}

/** The model, or else the first finding as an error. */
export function modelOf({ model, findings, facts }: Inspected): SurveyedModel {
  if (model) return model;
  throw (
    findings[0] ?? new MlxGemmaError("checkpoint", `${facts.name}: expected a Gemma 4 checkpoint, found none`)
  );
}

/**
 * The flaw of a header by which a tensor's values would be read: a file that is cut off, say, has some of them elsewhere
 * or nowhere.
 */
export function headerFlaw({ survey }: Inspected, { encoded }: LogicalTensor): MlxGemmaError | undefined {
  const parts =
    encoded.kind === "plain" ? [encoded.stored] : [encoded.weight, encoded.scales, encoded.biases];
  const files = new Set(parts.map((part) => part?.file));
  return survey.shards.find(({ name, flaw }) => flaw && files.has(survey.files.pathOf(name)))?.flaw;
}
