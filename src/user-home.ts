import { homedir } from "node:os";

/** The user's folder; undefined where neither HOME nor the system names one, as for a bare user id in a container. */
export function userHome(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  try {
    return env.HOME || homedir() || undefined;
  } catch {
    return undefined;
  }
}
