import { describeDraftedLogits } from "./support/drafted-logits.js";

describeDraftedLogits("mlx");
