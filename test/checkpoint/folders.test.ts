import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { targetWeights } from "../../src/checkpoint/expected-weights.js";
import { neededShards } from "../../src/checkpoint/hub/selection.js";
import { checkPair, findAssistant, openAssistant, openTarget } from "../../src/checkpoint/index.js";
import { readTensors } from "../../src/checkpoint/shards.js";
import { planTarget } from "../../src/checkpoint/weights.js";
import { copyOf, type RawTensor, safetensors, temporaryFolder, thrown, writeJson } from "./helpers.js";

const GOLDEN = readdirSync("test/golden", { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const golden = (name: string, part: "target" | "assistant") => `test/golden/${name}/${part}`;

describe("the golden pairs", () => {
  it.each(GOLDEN)("%s opens, finds its assistant, and fits", (name) => {
    const target = openTarget(golden(name, "target"));
    const found = findAssistant(target.folder);
    expect(found?.why).toBe(`beside ${target.folder}`);
    const assistant = openAssistant(found?.folder ?? "");
    expect(checkPair(target, assistant).map(({ code }) => code)).toEqual([
      ...(target.config.quantization ? ["packed-target"] : []),
      "tokenizers-not-compared",
    ]);
    expect(target.weights.tensors.has("embed_tokens.weight")).toBe(true);
    expect(assistant.weights.tensors.has("masked_embedding.token_ordering")).toBe(
      assistant.config.centroidHead !== undefined,
    );
    expect([...target.warnings, ...assistant.warnings]).toEqual([]);
  });

  it("come in both packagings: shards with a prefix, and one file", () => {
    const sharded = openTarget(golden("e-style", "target")).weights.tensors;
    expect(sharded.get("norm.weight")?.name).toBe("model.language_model.norm.weight");
    expect(new Set([...sharded.values()].map(({ file }) => file)).size).toBeGreaterThan(1);
    // KV-shared layers need no k/v, whatever the shards hold.
    expect(sharded.has("layers.5.self_attn.k_proj.weight")).toBe(true);
    expect(sharded.has("layers.6.self_attn.k_proj.weight")).toBe(false);
    const single = openTarget(golden("dense-k-eq-v", "target")).weights.tensors;
    expect(single.get("norm.weight")?.name).toBe("model.norm.weight");
    expect(single.has("layers.0.self_attn.v_proj.weight")).toBe(true);
    expect(single.has("layers.5.self_attn.v_proj.weight")).toBe(false);
  });

  it("do not fit each other", () => {
    const target = openTarget(golden("e-style", "target"));
    const assistant = openAssistant(golden("dense-k-eq-v", "assistant"));
    const { message } = thrown("pair", () => checkPair(target, assistant));
    expect(message).toContain("the target has 64, the assistant 80 (its backbone_hidden_size)");
  });

  it("are told apart", () => {
    expect(thrown("usage", () => openTarget(golden("e-style", "assistant"))).message).toContain(
      "found an assistant",
    );
    expect(thrown("usage", () => openAssistant(golden("e-style", "target"))).message).toContain(
      "found a target",
    );
  });
});

describe("weights", () => {
  const { config } = openTarget(golden("dense-k-eq-v", "target"));
  const tensors = (change: (all: Record<string, RawTensor>) => void, prefix = "model.") => {
    const all: Record<string, RawTensor> = Object.fromEntries(
      targetWeights(config).map(({ name, shape }) => [prefix + name, { dtype: "BF16", shape }]),
    );
    change(all);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "model.safetensors"), safetensors(all));
    return () => planTarget({ folder, config, tensors: readTensors(folder) });
  };

  it.each(["model.language_model.", "language_model.model.", "model."])("are found under %s", (prefix) => {
    const plan = tensors((all) => {
      all["vision_tower.x.weight"] = { dtype: "F32", shape: [3] };
    }, prefix)();
    expect(plan.dtype).toBe("bfloat16");
    expect(plan.tensors.get("layers.7.layer_scalar")).toMatchObject({
      name: `${prefix}layers.7.layer_scalar`,
      shape: [1],
    });
    expect(plan.tensors.size).toBe(targetWeights(config).length);
    expect(plan.bytes).toBe(
      [...plan.tensors.values()].reduce((sum, { shape }) => sum + 2 * shape.reduce((a, b) => a * b, 1), 0),
    );
  });

  it("are the tensors of the checkpoint, no more and no fewer", () => {
    const names = [...readTensors(golden("dense-k-eq-v", "target")).keys()].map((name) =>
      name.replace("model.", ""),
    );
    expect(
      targetWeights(config)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(names.sort());
  });

  it("may differ in dtype among themselves", () => {
    const plan = tensors((all) => {
      all["model.norm.weight"] = { dtype: "F32", shape: [80] };
    })();
    expect(plan.dtype).toBe("bfloat16");
    expect(plan.tensors.get("norm.weight")?.dtype).toBe("float32");
  });

  it("that are missing are named", () => {
    const plan = tensors((all) => {
      delete all["model.layers.3.mlp.up_proj.weight"];
      delete all["model.norm.weight"];
    });
    expect(thrown("checkpoint", plan).message).toContain(
      "tensor model.layers.3.mlp.up_proj.weight (and 1 more)",
    );
    expect(
      thrown(
        "checkpoint",
        tensors(() => {}, "transformer."),
      ).message,
    ).toContain("found none of them");
  });

  it("of a wrong shape or dtype are named, with both", () => {
    const shape = tensors((all) => {
      all["model.layers.0.layer_scalar"] = { dtype: "BF16", shape: [2] };
    });
    expect(thrown("checkpoint", shape).message).toContain("layer_scalar: expected shape [1], found [2]");
    const dtype = tensors((all) => {
      all["model.norm.weight"] = { dtype: "I64", shape: [80] };
    });
    expect(thrown("checkpoint", dtype).message).toContain(
      "norm.weight: expected bfloat16, float16 or float32, found int64",
    );
  });

  it("of an assistant need an integer ordering", () => {
    const folder = copyOf(golden("e-style", "assistant"));
    const all: Record<string, RawTensor> = {};
    for (const [name, { shape }] of readTensors(folder)) all[name] = { dtype: "F32", shape };
    writeFileSync(join(folder, "model.safetensors"), safetensors(all));
    expect(thrown("checkpoint", () => openAssistant(folder)).message).toContain(
      "token_ordering: expected int32 or int64",
    );
  });
});

describe("shards", () => {
  const INDEX = "model.safetensors.index.json";
  const spoil = (change: (map: Record<string, unknown>) => unknown) => {
    const folder = copyOf(golden("e-style", "target"));
    const index: { weight_map: Record<string, string> } = JSON.parse(
      readFileSync(join(folder, INDEX), "utf8"),
    );
    const changed = change(index.weight_map);
    writeJson(folder, INDEX, changed === undefined ? index : changed);
    return () => openTarget(folder);
  };
  const NORM = "model.language_model.norm.weight";

  it("open when untouched (control)", () => {
    expect(spoil(() => undefined)().config.vocabSize).toBe(320);
  });

  it.each([
    "../secret.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "..\\x.safetensors",
    ".safetensors",
    "model.bin",
    3,
    null,
  ])("may not be %j", (shard) => {
    const open = spoil((map) => {
      map[NORM] = shard;
    });
    expect(thrown("checkpoint", open).message).toContain(`weight_map.${NORM}: expected the plain name`);
  });

  it("may be called as the hub's are taken", () => {
    const renamed = "model+text-00001.safetensors";
    const folder = copyOf(golden("e-style", "target"));
    const index = readFileSync(join(folder, INDEX), "utf8");
    const [shard = ""] = Object.values<string>(JSON.parse(index).weight_map);
    renameSync(join(folder, shard), join(folder, renamed));
    writeFileSync(join(folder, INDEX), index.replaceAll(shard, renamed));
    expect(openTarget(folder).config.vocabSize).toBe(320);
    expect(neededShards(JSON.parse(index.replaceAll(shard, renamed)))).toContain(renamed);
  });

  it("must be there, and hold what the index says", () => {
    const missing = spoil((map) => {
      map[NORM] = "model-00009-of-00009.safetensors";
    });
    expect(thrown("checkpoint", missing).message).toContain(
      "expected the shard model-00009-of-00009.safetensors (1 tensors)",
    );
    const moved = spoil((map) => {
      map[NORM] =
        map[NORM] === "model-extra.safetensors"
          ? "model-00001-of-00003.safetensors"
          : "model-extra.safetensors";
    });
    expect(thrown("checkpoint", moved).message).toMatch(
      /expected tensor model\.language_model\.norm\.weight in \S+, found it in /,
    );
  });

  it("with nothing for a text model may be missing, broken or wrongly listed", () => {
    const surplus = spoil((map) => {
      map["model.vision_tower.patch_embedder.weight"] = "model-vision.safetensors";
      map["model.audio_tower.weight"] = "model-broken.safetensors";
      map["model.language_model.nothing"] = "model-extra.safetensors";
    });
    const { folder } = surplus();
    writeFileSync(join(folder, "model-broken.safetensors"), "no header");
    expect(openTarget(folder).weights.tensors.size).toBe(
      openTarget(golden("e-style", "target")).weights.tensors.size,
    );
    // Who wants all of them must have all of them.
    expect(thrown("checkpoint", () => readTensors(folder)).message).toContain(
      "expected the shard model-vision.safetensors (1 tensors)",
    );
    const nowhere = spoil((map) => {
      map["model.language_model.nothing"] = "model-extra.safetensors";
    })();
    expect(thrown("checkpoint", () => readTensors(nowhere.folder)).message).toContain("found it nowhere");
  });

  it("need a map", () => {
    expect(
      thrown(
        "checkpoint",
        spoil(() => ({ weight_map: [] })),
      ).message,
    ).toContain("weight_map: expected an object");
    expect(
      thrown(
        "checkpoint",
        spoil(() => ({ weight_map: {} })),
      ).message,
    ).toContain("found 0");
    expect(
      thrown(
        "checkpoint",
        spoil(() => null),
      ).message,
    ).toContain("weight_map: expected");
  });
});
