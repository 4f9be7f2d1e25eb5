import { readFileSync } from "node:fs";
import { addon } from "../../mlx/addon.js";
import { WHEEL } from "../version.js";
import type { Look } from "./report.js";

/** What is installed. */
export const SOFTWARE: readonly Look[] = [
  {
    id: "versions",
    what: "the addon",
    cure: "run: npm run build; see docs/setup.md",
    run() {
      const { version, mlxVersion } = addon();
      const facts = { mlxGemma: version, mlx: mlxVersion };
      return { status: "ok", found: `mlx-gemma ${version}, MLX ${mlxVersion}`, facts };
    },
  },
  {
    id: "libmlx",
    what: "libmlx",
    cure: "rm -rf build && npm run build",
    run() {
      const [wheel = "", hash = ""] = readFileSync(WHEEL, "utf8").split("\n")[0]?.split(" ") ?? [];
      return {
        status: "ok",
        found: `${wheel}, ${hash.slice(0, 19)}…`,
        facts: { wheel, hash },
      };
    },
  },
  {
    id: "tokenizers",
    what: "the tokenizers package",
    cure: "run: npm ci",
    async run() {
      const { Tokenizer } = await import("tokenizers");
      return { status: "ok", found: typeof Tokenizer === "function" ? "loads" : "has no Tokenizer" };
    },
  },
];
