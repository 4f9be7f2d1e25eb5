import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { addon } from "../../mlx/addon.js";
import { readBandwidth } from "../../mlx/read-bandwidth.js";
import { counted, size } from "../../units.js";
import type { Look } from "./report.js";

/** Below this the smallest published model in 4 bit does not fit. */
const LITTLE_MEMORY = 4e9;
const BUILD = "run: npm run build; see docs/setup.md";

/** What the machine is. */
export const MACHINE: readonly Look[] = [
  {
    id: "system",
    what: "the system",
    cure: "report it",
    run() {
      const { versions } = process;
      const facts = { system: type(), release: release(), arch: arch(), node: versions.node };
      return {
        status: "ok",
        found: `${facts.system} ${facts.release}, ${facts.arch}, Node.js ${facts.node}`,
        facts,
      };
    },
  },
  {
    id: "cpu",
    what: "the processor",
    cure: BUILD,
    run() {
      const model = cpus()[0]?.model.replace(/\s+/g, " ").trim() || "unknown";
      const cores = availableParallelism();
      const kernels = addon().kernels();
      const load = loadavg()[0] ?? 0;
      const found = `${model}, ${counted(cores, "logical core")}, load ${load.toFixed(1)}, kernels: ${kernels}`;
      const facts = { model, cores, kernels, load };
      if (kernels === "scalar") {
        const cure = process.env.MLX_GEMMA_ISA
          ? "MLX_GEMMA_ISA asks for the portable, slow kernels: unset it"
          : "the CPU has neither AVX2 nor NEON: kernels run in their portable, slow form; use another machine";
        return { status: "warn", found, facts, cure };
      }
      if (load > 1.5 * cores) {
        return {
          status: "warn",
          found,
          facts,
          cure: "the machine is busy: do not trust speeds measured now",
        };
      }
      return { status: "ok", found, facts };
    },
  },
  {
    id: "memory",
    what: "the memory",
    cure: "report it",
    run() {
      // A container's limit, where there is one.
      const limit = process.constrainedMemory();
      const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
      const available = Math.min(process.availableMemory(), total);
      const facts = { total, available };
      const found = `${size(total)}, ${size(available)} available`;
      if (available >= LITTLE_MEMORY) return { status: "ok", found, facts };
      return {
        status: "warn",
        found,
        facts,
        cure: "end other programs; mlx-gemma models says what each model needs",
      };
    },
  },
  {
    id: "bandwidth",
    what: "the speed of the memory",
    cure: BUILD,
    async run() {
      const bytesPerSecond = await readBandwidth();
      const found = `${size(bytesPerSecond)}/s read by the kernels: what bounds tokens a second`;
      return { status: "ok", found, facts: { bytesPerSecond } };
    },
  },
  {
    id: "device",
    what: "MLX's device",
    cure: BUILD,
    run() {
      const device = addon().device();
      const kernels = addon().kernels();
      const how = kernels === "mlx" ? "MLX's own operations" : `own kernels (${kernels})`;
      return { status: "ok", found: `${device}, ${how}`, facts: { device, kernels } };
    },
  },
];
