import { truncateSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openTarget } from "../src/checkpoint/index.js";
import { load } from "../src/index.js";
import { memoryRoom } from "../src/memory-room.js";
import { loadedBytes, requireMemory } from "../src/weights-memory.js";
import { rejected, temporaryFolder, thrown, writeJson } from "./checkpoint/helpers.js";
import { EMBEDDED, generate } from "./cli/helpers.js";

const GIB = 2 ** 30;
const meminfo = (available: number, swap = 0) =>
  `MemTotal: ${totalmem() / 1024} kB\nMemAvailable:  ${available / 1024} kB\nSwapFree: ${swap / 1024} kB\n`;
const room = (files: Readonly<Record<string, string | number>>) =>
  memoryRoom((path) => (Object.hasOwn(files, path) ? `${files[path]}\n` : undefined));

describe("the memory that is there", () => {
  const host = { "/proc/meminfo": meminfo(2 * GIB) };
  const v2 = { ...host, "/proc/self/cgroup": "0::/a/b" };
  const v1 = { ...host, "/proc/self/cgroup": "5:cpu:/\n4:cpuset,memory:/a\n0::/" };

  it.each<[string, Readonly<Record<string, string | number>>, number, string]>([
    ["is the machine's", host, 2 * GIB, "free on this machine"],
    ["counts swap", { "/proc/meminfo": meminfo(GIB, GIB / 2) }, 1.5 * GIB, "free on this machine"],
    [
      "is not bounded by max",
      { ...v2, "/sys/fs/cgroup/a/b/memory.max": "max" },
      2 * GIB,
      "free on this machine",
    ],
    ["is a group's", { ...v2, "/sys/fs/cgroup/a/b/memory.max": GIB }, GIB, "left of the container's limit"],
    [
      "is what the group has not used, files in its cache left out",
      {
        ...v2,
        "/sys/fs/cgroup/a/b/memory.max": GIB,
        "/sys/fs/cgroup/a/b/memory.current": GIB,
        "/sys/fs/cgroup/a/b/memory.stat": `anon 5\ninactive_file ${GIB / 4}\nactive_file ${GIB / 4}`,
      },
      GIB / 2,
      "left of the container's limit",
    ],
    [
      "is that of a group around it",
      { ...v2, "/sys/fs/cgroup/memory.max": GIB / 8 },
      GIB / 8,
      "left of the container's limit",
    ],
    [
      "knows groups of version 1",
      { ...v1, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": GIB },
      GIB,
      "left of the container's limit",
    ],
    [
      "takes version 1's largest number for none",
      { ...v1, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712" },
      2 * GIB,
      "free on this machine",
    ],
    [
      "is what ulimit -v leaves",
      {
        ...host,
        "/proc/self/limits": `Max cpu time  unlimited  unlimited seconds\nMax address space         ${GIB}  unlimited  bytes`,
        "/proc/self/status": `VmPeak: 1 kB\nVmSize:   ${GIB / 4 / 1024} kB`,
      },
      0.75 * GIB,
      "left of ulimit -v",
    ],
    ["is all the machine has where nothing is said", {}, totalmem(), "this machine's"],
  ])("%s", (_, files, bytes, bound) => {
    expect(room(files)).toEqual({ bytes, bound });
  });

  it("of this machine is between a little and all", () => {
    const { bytes } = memoryRoom();
    expect(bytes).toBeGreaterThan(100e6);
    expect(bytes).toBeLessThan(100e12);
  });
});

describe("weights that do not fit", () => {
  /** A checkpoint of terabytes that takes no room on the disk: well-formed, its weights are a hole. */
  function sparse(): string {
    const folder = temporaryFolder();
    const config = {
      model_type: "gemma4_text",
      num_hidden_layers: 1,
      vocab_size: 2 ** 22,
      hidden_size: 2 ** 18,
      intermediate_size: 2 ** 16,
      hidden_size_per_layer_input: 0,
      num_attention_heads: 4,
      num_key_value_heads: 4,
    };
    writeJson(folder, "config.json", config);
    const H = config.hidden_size;
    const I = config.intermediate_size;
    const layer: Readonly<Record<string, readonly number[]>> = {
      "input_layernorm.weight": [H],
      "self_attn.q_proj.weight": [4 * 512, H],
      "self_attn.k_proj.weight": [4 * 512, H],
      "self_attn.v_proj.weight": [4 * 512, H],
      "self_attn.o_proj.weight": [H, 4 * 512],
      "self_attn.q_norm.weight": [512],
      "self_attn.k_norm.weight": [512],
      "post_attention_layernorm.weight": [H],
      "pre_feedforward_layernorm.weight": [H],
      "mlp.gate_proj.weight": [I, H],
      "mlp.up_proj.weight": [I, H],
      "mlp.down_proj.weight": [H, I],
      "post_feedforward_layernorm.weight": [H],
      layer_scalar: [1],
    };
    const shapes = { "model.embed_tokens.weight": [config.vocab_size, H], "model.norm.weight": [H] };
    const all: [string, readonly number[]][] = [
      ...Object.entries(shapes),
      ...Object.entries(layer).map(([name, shape]): [string, readonly number[]] => [
        `model.layers.0.${name}`,
        shape,
      ]),
    ];
    let end = 0;
    const header = JSON.stringify(
      Object.fromEntries(
        all.map(([name, shape]) => {
          const begin = end;
          end += shape.reduce((product, axis) => product * axis, 2);
          return [name, { dtype: "BF16", shape, data_offsets: [begin, end] }];
        }),
      ),
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const file = join(folder, "model.safetensors");
    writeFileSync(file, Buffer.concat([length, Buffer.from(header)]));
    truncateSync(file, 8 + header.length + end);
    return folder;
  }

  it("are refused before anything of them is read, with what they need and what is there", async () => {
    const folder = sparse();
    const before = process.memoryUsage().rss;
    const start = performance.now();
    const { message } = await rejected("memory", load({ model: folder }));
    expect(message).toMatch(
      /: expected 2\.3 TB of memory for the weights, found [\d.]+ [MG]B \S.*; end other programs/,
    );
    expect(performance.now() - start).toBeLessThan(2000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
    const outcome = await generate(["--model", folder, "--prompt-ids", "2"]);
    expect(outcome).toMatchObject({ code: 12, stdout: "" });
    expect(outcome.stderr).toMatch(/^mlx-gemma: [^\n]+expected 2\.3 TB of memory[^\n]+\n$/);
  });

  it("are counted as they will be: cast, and both of a pair", () => {
    const target = openTarget();
    const stored = target.weights.bytes;
    expect(loadedBytes(target.weights)).toBe(stored);
    expect(loadedBytes(target.weights, "float32")).toBe(2 * stored);
    const enough = { bytes: 2 * stored, bound: "x" };
    requireMemory([target, target], undefined, enough);
    requireMemory([target], "float32", enough);
    const refused = thrown("memory", () => requireMemory([target, target], "float32", enough));
    expect(refused.message).toContain(`${EMBEDDED}/target: expected`);
    expect(thrown("memory", () => requireMemory([target], undefined, { bytes: stored - 1, bound: "x" })));
  });
});
