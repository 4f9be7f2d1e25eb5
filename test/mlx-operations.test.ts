// What Metal and CUDA run, MLX's own operations, held against the reference on this machine's CPU.
process.env.MLX_GEMMA_ISA = "mlx";
const { addon } = await import("../src/mlx/addon.js");
if (addon().kernels() !== "mlx") throw new Error("MLX_GEMMA_ISA=mlx was not heard");
await import("./target/golden.test.js");
await import("./drafter/golden.test.js");
await import("./mlx/ops.test.js");
await import("./speculative/cuts.test.js");
