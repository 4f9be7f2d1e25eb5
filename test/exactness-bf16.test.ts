import { describeExactness } from "./support/exactness.js";

describeExactness("bf16");
