// Property tests draw the same examples on every machine and in every run; `FC_SEED=7 npx vitest run test/text` draws others.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 20_261_124) });
