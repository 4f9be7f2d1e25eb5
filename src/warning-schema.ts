import { WARNING_CODES } from "./warnings.js";
import * as z from "./zod.js";

const warning = z.strictObject({
  code: z.enum(WARNING_CODES).describe("stable"),
  message: z.string().describe("one line for people"),
});

/** `warnings` of everything that is printed as JSON. */
export const warningsSchema = z
  .array(warning)
  .readonly()
  .describe("what makes drafting, or the answer, worse than asked");
