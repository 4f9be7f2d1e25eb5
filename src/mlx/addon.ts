import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { MlxGemmaError } from "../errors.js";
import type { NativeModule } from "./native.js";

const PACKAGE = new URL("../../", import.meta.url);

let loaded: NativeModule | undefined;

/**
 * The native addon, loaded at the first call and not before.
 *
 * @throws MlxGemmaError `addon` when it is missing, can't be loaded (with the loader's cause) or was built from another
 * version; `usage` where MLX_GEMMA_ISA names what this processor hasn't, or MLX_GEMMA_STEP_ROWS no number of rows.
 */
export function addon(): NativeModule {
  loaded ??= withKernels(
    loadAddon(fileURLToPath(new URL("build/Release/mlx_gemma.node", PACKAGE)), packageVersion()),
  );
  return loaded;
}

/** The kernels are chosen when they are first asked for. */
function withKernels(native: NativeModule): NativeModule {
  try {
    native.kernels();
    return native;
  } catch (error) {
    throw new MlxGemmaError("usage", `${(error as Error).message}; unset it, or name another`, {
      cause: error,
    });
  }
}

/** Loads an addon file and holds it against the version that this package wants. For {@link addon} and its tests. */
export function loadAddon(file: string, version: string): NativeModule {
  let native: NativeModule;
  try {
    native = createRequire(import.meta.url)(file) as NativeModule; // The contract; its version is checked below.
  } catch (error) {
    const cause = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new MlxGemmaError("addon", `the native addon can't be loaded (${cause}); ${cureOf(cause)}`, {
      cause: error,
    });
  }
  if (native.version !== version) {
    throw new MlxGemmaError(
      "addon",
      `the native addon is stale: it is of version ${native.version}, the package of ${version}; run: npm run build`,
    );
  }
  return native;
}

/** What to do about an addon that can't be loaded. */
export function cureOf(cause: string): string {
  if (/libcuda\.so|no NVIDIA GPU/.test(cause))
    return "install NVIDIA's driver, or build for the CPU: npm run build";
  if (/lib(cudnn|nccl|cublas|cufft|cusolver|cusparse|nvrtc|nvJitLink)/.test(cause))
    return "put NVIDIA's libraries beside MLX (docs/setup.md, CUDA), or build for the CPU: npm run build";
  return "run: npm run build";
}

function packageVersion(): string {
  const manifest: { version?: unknown } = JSON.parse(readFileSync(new URL("package.json", PACKAGE), "utf8"));
  return String(manifest.version);
}
