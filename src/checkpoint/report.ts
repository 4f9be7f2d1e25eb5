import { MlxGemmaError } from "../errors.js";

/**
 * Takes a flaw of a checkpoint, and the name of the tensor that it spoils. Readers that get a report go on past a flaw
 * where they can, so that all of them are told.
 */
export type Report = (flaw: MlxGemmaError, tensor?: string) => void;

/** The first flaw ends the reading. */
export const strict: Report = (flaw) => {
  throw flaw;
};

/** Does `step`, and reports the error that it throws about a checkpoint. @returns undefined after an error */
export function reporting<T>(report: Report, tensor: string | undefined, step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof MlxGemmaError)) throw error;
    report(error, tensor);
    return undefined;
  }
}
