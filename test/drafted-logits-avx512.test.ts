import { describeDraftedLogits } from "./support/drafted-logits.js";

describeDraftedLogits("avx512");
