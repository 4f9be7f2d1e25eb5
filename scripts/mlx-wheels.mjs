// The one table of MLX builds that this package links against: exact version, file and sha256.
// To move to another MLX: change the version, then take the names and hashes from `pip download --no-deps` or the index.
import { Lack } from "./setup/tell.mjs";

export const MLX_VERSION = "0.32.4";

/** Each wheel's file is `<package with _>-<version>-py3-none-<tag>.whl`; `system` is `<process.platform>-<process.arch>`. */
export const WHEELS = [
  {
    backend: "cpu",
    system: "linux-x64",
    package: "mlx-cpu",
    tag: "manylinux_2_35_x86_64",
    sha256: "0e0a24fa2ce8b6b94d2e6a90604e8813aa8e29fcb918bb2aa01cfb6d133d8cee",
  },
  {
    backend: "cpu",
    system: "linux-arm64",
    package: "mlx-cpu",
    tag: "manylinux_2_35_aarch64",
    sha256: "1289e85e64af1fd16380bf331438bfe4afe875d27afc3e0bcf35f427c488fadd",
  },
  {
    backend: "metal",
    system: "darwin-arm64",
    macos: 14,
    package: "mlx-metal",
    tag: "macosx_14_0_arm64",
    sha256: "8019b2db622599267d66cc168b2f0dbf5af929790a6c3b3913e00eabc42a7947",
  },
  {
    backend: "metal",
    system: "darwin-arm64",
    macos: 15,
    package: "mlx-metal",
    tag: "macosx_15_0_arm64",
    sha256: "9f0a3cc26d89724434d9684932fc6f3e4e83669d2a895d858ed2c8a55eb84e8b",
  },
  {
    backend: "metal",
    system: "darwin-arm64",
    macos: 26,
    package: "mlx-metal",
    tag: "macosx_26_0_arm64",
    sha256: "514df92d41a286895d2564b4b18f4da45096bd7a4a0c47e1042f345ad5a7f936",
  },
  {
    backend: "cuda13",
    system: "linux-x64",
    package: "mlx-cuda-13",
    tag: "manylinux_2_35_x86_64",
    sha256: "94cb48fba73e5ee39467e51c35c51c691123359ca17bafd1a24cf92ad6732bee",
  },
  {
    backend: "cuda13",
    system: "linux-arm64",
    package: "mlx-cuda-13",
    tag: "manylinux_2_35_aarch64",
    sha256: "cf8a67b49cebff85cd98b1d118c09f6c8ee966b899a914c50cc74d614b25616e",
  },
].map((row) => ({
  ...row,
  version: MLX_VERSION,
  file: `${row.package.replaceAll("-", "_")}-${MLX_VERSION}-py3-none-${row.tag}.whl`,
}));

/**
 * The wheel for a machine. `macos` and `glibc` are versions such as "15.3" and "2.36"; `glibc` is absent on musl.
 * `backend` is what MLX_GEMMA_BACKEND says; empty means the platform's own.
 */
export function wheelFor({ platform, arch, macos, glibc, backend }) {
  const system = `${platform}-${arch}`;
  const wanted = backend || (platform === "darwin" ? "metal" : "cpu");
  const rows = WHEELS.filter((row) => row.system === system);
  if (rows.length === 0) {
    throw new Lack(
      `there is no MLX for ${platform} ${arch}`,
      platform === "win32"
        ? "use WSL 2 with Ubuntu: wsl --install -d Ubuntu"
        : platform === "darwin"
          ? "on Apple silicon use an arm64 Node.js: brew install node (Intel Macs have no MLX)"
          : "use Linux on x64 or arm64, or macOS 14 or newer on Apple silicon",
    );
  }
  const fitting = rows.filter((row) => row.backend === wanted);
  if (fitting.length === 0) {
    const known = [...new Set(rows.map((row) => row.backend))].join(", ");
    throw new Lack(
      `MLX_GEMMA_BACKEND=${wanted} is not to be had on ${platform} ${arch}, which has: ${known}`,
      "unset MLX_GEMMA_BACKEND && npm run build",
    );
  }
  if (platform === "darwin") {
    const usable = fitting.filter((row) => row.macos <= Number.parseInt(macos, 10));
    const newest = usable.at(-1);
    if (!newest)
      throw new Lack(`MLX needs macOS 14 or newer, this is ${macos}`, "softwareupdate --install --all");
    return newest;
  }
  if (!glibc || compareVersions(glibc, "2.35") < 0) {
    throw new Lack(
      `MLX needs glibc 2.35 or newer, this system has ${glibc ?? "none (musl?)"}`,
      "use Debian 12, Ubuntu 22.04, Fedora 36 or newer",
    );
  }
  return fitting[0];
}

export function compareVersions(a, b) {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}
