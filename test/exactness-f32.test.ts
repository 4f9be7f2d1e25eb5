import { describeExactness } from "./support/exactness.js";

describeExactness("f32");
