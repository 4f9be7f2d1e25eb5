import type { ErrorCode } from "../errors.js";

/** Exit codes by what went wrong; the table in `--help` is made from this one. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  usage: 2,
  checkpoint: 3,
  pair: 4,
  unsupported: 5,
  context: 6,
  addon: 7,
  native: 8,
  disposed: 8,
  aborted: 130,
};

export const EXIT_HELP = `
Exit codes:
  0    done
  1    an error of mlx-gemma itself
  2    an option or a prompt that can't be taken
  3    a checkpoint that is missing, broken or no Gemma 4
  4    target and assistant do not fit
  5    a checkpoint that this version cannot run yet
  6    more tokens than the model has positions for
  7    the native addon is missing, stale or cannot be loaded
  8    MLX reported an error
  130  interrupted with Ctrl-C (143: terminated)`;
