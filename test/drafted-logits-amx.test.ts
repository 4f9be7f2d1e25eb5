import { describeDraftedLogits } from "./support/drafted-logits.js";

describeDraftedLogits("amx");
