import { spawnSync } from "node:child_process";

/** What is missing for a small disk of a test's own: an unshared mount goes with its process. */
export const NO_MOUNT =
  spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=16k none /mnt"]).status === 0
    ? undefined
    : "skipped: mounting is not permitted";
