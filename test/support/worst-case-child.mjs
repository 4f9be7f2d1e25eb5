// Checks one file of the worst form that the limits let pass, and tells what that took: `worst-case-child.mjs <form>`.
import { resolveTarget } from "../../dist/checkpoint/config.js";
import { parseJson } from "../../dist/checkpoint/json.js";
import { packingRules } from "../../dist/checkpoint/packing-rules.js";
import { parseHeader } from "../../dist/checkpoint/safetensors-header.js";
import { parseIndex } from "../../dist/checkpoint/shards.js";
import { checkTokenizer } from "../../dist/text/tokenizer-rules.js";
import { sectionsOf } from "../../dist/text/tokenizer-sections.js";

const MIB = 2 ** 20;
const NAMES = 199_900;
/** `count` entries between `open` and `close`, in `size` bytes. */
const filled = (open, count, entry, close, size) => {
  const text = open + Array.from({ length: count }, (_, i) => entry(i)).join() + close;
  return text + " ".repeat(Math.max(0, size - text.length));
};
const config = (open, count, entry, close) => () => {
  const text = filled(`{"model_type":"gemma4_text",${open}`, count, entry, close, 16 * MIB);
  return () => {
    const json = parseJson(text, "config.json");
    packingRules({ file: "config.json", config: json }, "target");
    resolveTarget({ file: "config.json", config: json });
  };
};
const header = (text) => () =>
  parseHeader(Buffer.from(text), { file: "model.safetensors", size: 8 + text.length });
const tokenizer = (text) => {
  const bytes = Buffer.from(text);
  return () => checkTokenizer(sectionsOf(bytes, "tokenizer.json"), "tokenizer.json");
};

const FORMS = {
  "a header of tensors without bytes": () =>
    header(
      filled("{", 28_500, (i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, "}", 16 * MIB),
    ),
  "a header of names alone": () => header(filled("{", NAMES, (i) => `"${i}":0`, "}", 16 * MIB)),
  "a header of one shape": () =>
    header(filled('{"a":{"dtype":"U8","data_offsets":[0,0],"shape":[', 8e6, () => "0", "]}}", 0)),
  "an index": () => {
    const text = filled('{"weight_map":{', NAMES, (i) => `"${i}":"${i % 9000}.safetensors"`, "}}", 16 * MIB);
    return () => parseIndex(parseJson(text, "index"), "index");
  },
  "a config of unknown keys": config("", NAMES, (i) => `"${i}":0`, "}"),
  "a config of layer types": config('"layer_types":[', 7e6, () => "1", "]}"),
  "a config of eos tokens": config('"eos_token_id":[', 7e6, () => "1", "]}"),
  "a config of layers": config('"per_layer_config":{', 66_000, (i) => `"${i}":{"head_dim":"x"}`, "}}"),
  "a config of packed modules": config('"quantization":{', 66_000, (i) => `"${i}":{"bits":9}`, "}}"),
  "a config of empty lists": config('"x":[', 199_000, () => "[]", "]}"),
  "a tokenizer of tokens": () =>
    tokenizer(
      filled('{"model":{"type":"BPE","merges":[],"vocab":{', 4e6, (i) => `"${i}":${i}`, "}}}", 64 * MIB),
    ),
  "a tokenizer of added tokens": () =>
    tokenizer(
      filled(
        '{"model":{"type":"BPE"},"added_tokens":[',
        66_000,
        (i) => `{"id":${i},"content":"${i}"}`,
        "]}",
        64 * MIB,
      ),
    ),
};

const form = process.argv[2];
const check = FORMS[form]();
const rss = process.memoryUsage().rss;
const start = process.cpuUsage();
let found = "nothing wrong";
try {
  check();
} catch (error) {
  found = `${error.code}: ${error.message}`;
}
const { user, system } = process.cpuUsage(start);
const peak = process.resourceUsage().maxRSS * 1024 - rss;
console.log(JSON.stringify({ form, seconds: (user + system) / 1e6, megabytes: peak / 1e6, found }));
