/** What someone may write where something else belongs. */
const JUNK = [
  ...[null, true, false, 0, -0, -1, 1, 2, 0.5, 7, 16, 1e308, -1e-308],
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64],
  ...[
    "",
    "x",
    "../x.safetensors",
    "/etc/passwd",
    "__proto__",
    "constructor",
    "a\nb",
    "\ud800",
    "\u0000",
    "é",
    "F32",
    "U8",
    "BOOL",
  ],
  ...[
    "Sequence",
    "Replace",
    "Precompiled",
    "Split",
    "Strip",
    "Fuse",
    "Prepend",
    "BPE",
    "Unigram",
    "full_attention",
    "gemma4_text",
  ],
  ...[[], {}, [[]], [0, 8], [0], { Regex: "(a+)+$" }, { String: "" }, { String: "a" }],
];
const LONG = "x".repeat(5000);

/** A copy of a JSON value with one thing in it changed. */
export function mutateValue(value, random) {
  const copy = structuredClone(value);
  const slots = [];
  const walk = (node) => {
    if (typeof node !== "object" || node === null || slots.length > 400) return;
    for (const key of Object.keys(node)) {
      slots.push([node, key]);
      walk(node[key]);
    }
  };
  walk(copy);
  if (slots.length === 0) return random.of(JUNK);
  const [node, key] = random.of(slots);
  const [other, otherKey] = random.of(slots);
  switch (random.below(8)) {
    case 0:
      delete node[key];
      break;
    case 1:
      set(node, random.of(["__proto__", "x", otherKey, "type", "shape", "bits"]), random.of(JUNK));
      break;
    case 2:
      set(node, key, structuredClone(other[otherKey]));
      break;
    case 3:
      if (typeof node[key] === "number") node[key] += random.of([-1, 1, -8, 8, 0.5, 2 ** 32]);
      else set(node, key, random.of(JUNK));
      break;
    case 4:
      if (Array.isArray(node[key])) node[key].push(...node[key].slice(0, 50));
      else set(node, key, [node[key]]);
      break;
    case 5:
      set(node, key, nested(random.below(80), random.chance(0.5)));
      break;
    case 6:
      set(node, key, random.chance(0.1) ? LONG : random.of(JUNK));
      break;
    default:
      set(node, key, random.of(JUNK));
  }
  return copy;
}

/** As an own property, whatever the key is called. */
function set(node, key, value) {
  Object.defineProperty(node, key, { value, enumerable: true, configurable: true, writable: true });
}

function nested(depth, list) {
  let value = 0;
  for (let i = 0; i < depth; i++) value = list ? [value] : { x: value };
  return value;
}

/** JSON of a value as others may write it: with escapes, white space, and names that stand twice. */
export function writeJson(value, random) {
  let text = JSON.stringify(value, undefined, random.chance(0.1) ? 1 : 0);
  if (random.chance(0.05))
    text = text.replace(/"(\w)(\w*)":/, (_, c, rest) => `"\\u00${c.charCodeAt(0).toString(16)}${rest}":`);
  if (random.chance(0.05)) text = text.replace(/"(\w+)":/, (name) => `${name}0,${name}`);
  if (random.chance(0.02)) text = `\ufeff${text}`;
  return text;
}

const BYTES = [
  0, 0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a, 0x30, 0x39, 0x2d, 0x65, 0x80, 0xc3, 0xed, 0xff,
];

/** A copy of bytes with some of them changed, lost, doubled, or taken from others. */
export function mutateBytes(bytes, others, random) {
  let out = Buffer.from(bytes);
  for (let times = 1 + random.below(4); times > 0; times--) {
    const at = random.below(out.length + 1);
    const length = 1 + random.below(16);
    const rest = out.subarray(Math.min(out.length, at + length));
    switch (random.below(7)) {
      case 0:
        out = out.subarray(0, at);
        break;
      case 1:
        out = Buffer.concat([out.subarray(0, at), Buffer.of(random.of(BYTES)), out.subarray(at)]);
        break;
      case 2:
        out = Buffer.concat([out.subarray(0, at), rest]);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at + length), out.subarray(at)]);
        break;
      case 4: {
        const other = random.of(others);
        const from = random.below(other.length + 1);
        out = Buffer.concat([out.subarray(0, at), other.subarray(from, from + 200), out.subarray(at)]);
        break;
      }
      default:
        if (at < out.length) out[at] = random.chance(0.5) ? random.of(BYTES) : random.below(256);
    }
  }
  return out;
}
