// Where MLX_GEMMA_ISA holds us to an instruction set that the processor is better than, peers are held to it, too.

/** For all that the processor has, but for what llama/CMakeLists.txt leaves out: AMX. */
const NATIVE_BUILD = { folder: "llama-build", options: {} };

/**
 * For each instruction set: how llama.cpp is built for it, in a folder of its own, and variables that hold the libraries of the Python
 * peers to it (torch's own kernels, oneDNN, MKL, OpenBLAS).
 */
const SETS = {
  avx512: {
    llama: NATIVE_BUILD,
    env: {
      ATEN_CPU_CAPABILITY: "avx512",
      ONEDNN_MAX_CPU_ISA: "AVX512_CORE_BF16",
      MKL_ENABLE_INSTRUCTIONS: "AVX512",
      OPENBLAS_CORETYPE: "SkylakeX",
    },
  },
  avx2: {
    llama: {
      folder: "llama-build-avx2",
      options: { GGML_NATIVE: "OFF", GGML_AVX2: "ON", GGML_FMA: "ON", GGML_F16C: "ON", GGML_BMI2: "ON" },
    },
    env: {
      ATEN_CPU_CAPABILITY: "avx2",
      ONEDNN_MAX_CPU_ISA: "AVX2",
      MKL_ENABLE_INSTRUCTIONS: "AVX2",
      OPENBLAS_CORETYPE: "Haswell",
    },
  },
};

/**
 * @param name what MLX_GEMMA_ISA says, or nothing
 * @returns `{ name, llama: { folder, options }, env }`; without a name it is "native"
 * @throws Error for a setting of MLX_GEMMA_ISA in which peers can't follow
 */
export function instructionSet(name = process.env.MLX_GEMMA_ISA ?? "") {
  if (name === "") return { name: "native", llama: NATIVE_BUILD, env: {} };
  const set = SETS[name];
  if (!set)
    throw new Error(
      `MLX_GEMMA_ISA=${name}: peers can be held to ${Object.keys(SETS).join(" or ")}; choose one or unset it`,
    );
  return { name, ...set };
}
