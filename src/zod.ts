import { config } from "zod";
import en from "zod/v4/locales/en.js";

// The part of zod that is used, as `z`. zod's own index also loads what its errors say in fifty languages, which takes
// longer than all of `--help`; the build bundles this file and leaves that out.
config(en());

export type { core, infer, ZodType } from "zod";
export {
  array,
  boolean,
  custom,
  discriminatedUnion,
  enum,
  int,
  lazy,
  literal,
  looseObject,
  null,
  number,
  object,
  record,
  strictObject,
  string,
  toJSONSchema,
  tuple,
  union,
  unknown,
} from "zod";
