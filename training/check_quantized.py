"""Holds folders of `mlx-gemma quantize` against the conversions of mlx-lm and mlx-vlm, and runs them there.

    python training/check_quantized.py [--output rows.jsonl] [--only NAME]

For each checkpoint (the embedded pair, the golden pairs) and each number of bits, group size, mode and recipe:
1. bytes: every tensor is that of the peer's own conversion, bit for bit (mlx-lm for targets, mlx-vlm's class for
   assistants), and the peer reads the same parameters out of our config.json.
2. load: mlx-lm and mlx-vlm load our folder strictly: no tensor is missing or left over.
3. ids: 200 greedy ids of mlx-vlm on our folder, activations in float32, are those of `mlx-gemma generate`. A text is
   cut before a step whose margin between the two best logits is below the noise of float32.
4. drafts: mlx-vlm drafts with our assistant for our target, and writes the same text.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map
from mlx_lm.utils import load_model as lm_load, quantize_model
from mlx_vlm.convert import mixed_quant_predicate_builder
from mlx_vlm.generate.ar import generate_step
from mlx_vlm.speculative.drafters import load_drafter
from mlx_vlm.utils import load_model as vlm_load, skip_multimodal_module

ROOT = Path(__file__).resolve().parent.parent
NEW_TOKENS = 200
#: Below this margin the order of two logits is a matter of rounding: sums of some hundred float32 products.
NOISE = 1e-3
RECIPES = ("mixed_2_6", "mixed_3_4", "mixed_3_5", "mixed_3_6", "mixed_3_8", "mixed_4_6", "mixed_4_8")


@dataclass(frozen=True)
class Format:
    bits: int
    group_size: int
    mode: str = "affine"
    mixed: str | None = None

    @property
    def name(self) -> str:
        what = self.mixed or f"{self.mode} {self.bits}"
        return f"{what}, {self.group_size}"

    @property
    def flags(self) -> list[str]:
        bits = ["--mixed", self.mixed] if self.mixed else ["--bits", str(self.bits)]
        return [*bits, "--group-size", str(self.group_size), "--mode", self.mode]


def formats() -> Iterator[Format]:
    for bits in (2, 3, 4, 5, 6, 8):
        for group_size in (32, 64, 128):
            yield Format(bits, group_size)
    yield Format(4, 32, "mxfp4")
    yield Format(8, 32, "mxfp8")
    yield Format(4, 16, "nvfp4")
    for recipe in RECIPES:
        yield Format(int(recipe.split("_")[1]), 64, mixed=recipe)


def mlx_gemma(*args: str) -> str:
    done = subprocess.run(["node", ROOT / "bin/mlx-gemma.js", *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def quantize(source: Path, output: Path, form: Format) -> dict:
    return json.loads(
        mlx_gemma("quantize", "--model", str(source), "-o", str(output), "--no-check", "--json", "-q", *form.flags)
    )


def tensors_of(folder: Path) -> dict[str, mx.array]:
    tensors = {}
    for file in sorted(folder.glob("model*.safetensors")):
        tensors.update(mx.load(str(file)))
    return tensors


def readable_source(source: Path, ours: Path, place: Path) -> Path:
    """The source with the config that we spell out, without its quantization: peers cannot read every form of it."""
    config = json.loads((ours / "config.json").read_text())
    config.pop("quantization")
    config.pop("quantization_config")
    place.mkdir()
    for file in [*source.glob("model*.safetensors"), *source.glob("*.index.json")]:
        (place / file.name).symlink_to(file.resolve())
    (place / "config.json").write_text(json.dumps(config))
    # mlx-lm reads every model*.safetensors: a folder with an index may hold others that it does not name.
    index = place / "model.safetensors.index.json"
    if index.exists():
        named = set(json.loads(index.read_text())["weight_map"].values())
        for file in place.glob("model*.safetensors"):
            if file.name not in named:
                file.unlink()
    return place


def peer_target(folder: Path, form: Format) -> dict[str, mx.array]:
    """mlx-lm's conversion; with a recipe mlx-vlm's predicate, and 8 bits for the router as without one."""
    model, config = lm_load(folder, lazy=True)
    own = model.quant_predicate
    predicate: Callable | None = None
    if form.mixed:
        mixed = mixed_quant_predicate_builder(form.mixed, model)

        def predicate(path: str, module: nn.Module):
            return own(path, module) if path.endswith("router.proj") else mixed(path, _WithRows(module))

    model, _ = quantize_model(model, config, form.group_size, form.bits, mode=form.mode, quant_predicate=predicate)
    return dict(tree_flatten(model.parameters()))


def peer_assistant(folder: Path, form: Format) -> dict[str, mx.array]:
    """mlx-vlm's class, packed by MLX: all but the centroids, and the rows that its centroid head reads."""
    model = vlm_load(folder, lazy=True)
    kept = {"masked_embedding.centroids", "model.embed_tokens"} if model.config.use_ordered_embeddings else set()
    mixed = mixed_quant_predicate_builder(form.mixed, _WithLayers(model)) if form.mixed else None

    def predicate(path: str, module: nn.Module):
        if path in kept or not hasattr(module, "to_quantized") or module.weight.shape[-1] % form.group_size:
            return False
        return mixed(path, module) if mixed else True

    nn.quantize(model, form.group_size, form.bits, mode=form.mode, class_predicate=predicate)
    return dict(tree_flatten(model.parameters()))


class _WithRows:
    """What mlx-vlm's recipes ask of a module: they look for the length of a row in `shape[1]`, which experts have last."""

    def __init__(self, module: nn.Module) -> None:
        if hasattr(module, "to_quantized"):
            self.to_quantized = module.to_quantized
            self.weight = module.weight[0] if module.weight.ndim == 3 else module.weight


class _WithLayers:
    """What mlx-vlm's builder of recipes asks of a model; its drafters have `layers` one level deeper."""

    def __init__(self, model: nn.Module) -> None:
        self.layers = model.model.layers
        self.named_modules = model.named_modules


def canonical(tensors: dict[str, mx.array]) -> dict[str, mx.array]:
    def name(key: str) -> str:
        return key.removeprefix("language_model.").removeprefix("model.")

    return {name(k): v for k, v in tensors.items() if not skip_multimodal_module(k) and "embed_audio" not in k}


def compare_bytes(ours: dict[str, mx.array], theirs: dict[str, mx.array]) -> tuple[int, int]:
    ours, theirs = canonical(ours), canonical(theirs)
    if ours.keys() != theirs.keys():
        raise AssertionError(f"tensors: {sorted(ours.keys() ^ theirs.keys())[:6]}")
    size = 0
    for key, tensor in ours.items():
        other = theirs[key]
        if key == "masked_embedding.token_ordering":
            other = other.astype(tensor.dtype)  # mlx-vlm narrows it when it loads.
        if tensor.dtype != other.dtype or tensor.shape != other.shape:
            raise AssertionError(f"{key}: {tensor.dtype} {tensor.shape}, theirs {other.dtype} {other.shape}")
        if not mx.array_equal(tensor.view(mx.uint8), other.view(mx.uint8)).item():
            raise AssertionError(f"{key}: other bytes")
        size += tensor.nbytes
    return len(ours), size


def packing_of(model: nn.Module) -> dict[str, tuple]:
    return {k: (m.bits, m.group_size, m.mode) for k, m in model.named_modules() if hasattr(m, "bits")}


def to_float32(model: nn.Module) -> nn.Module:
    model.update(tree_map(lambda a: a.astype(mx.float32) if mx.issubdtype(a.dtype, mx.floating) else a, model.parameters()))
    return model


def vlm_ids(model: nn.Module, prompt: list[int]) -> list[int]:
    """Greedy ids, up to the first step whose two best logits lie within the noise."""
    cache, ids, new = model.make_cache(), mx.array([prompt]), []
    while len(new) < NEW_TOKENS:
        logits = model.language_model(ids, cache=cache).logits[0, -1].astype(mx.float32)
        best = mx.sort(logits)[-2:].tolist()
        if best[1] - best[0] < NOISE:
            break
        new.append(int(logits.argmax().item()))
        ids = mx.array([new[-1:]])
    return new


def our_ids(model: Path, prompt: list[int], draft: Path | None = None) -> list[int]:
    drafter = ["--draft", str(draft)] if draft else []
    out = mlx_gemma(
        "generate", "-m", str(model), *drafter, "--prompt-ids", ",".join(map(str, prompt)), "--json", "-q",
        "--ignore-eos", "--dtype", "f32", "-n", str(NEW_TOKENS),
    )  # fmt: skip
    return json.loads(out)["tokenIds"]


def prompts_of(pair: Path) -> list[list[int]]:
    golden = pair / "golden.json"
    if golden.exists():
        return [json.loads(golden.read_text())["promptIds"]]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(pair / "target/tokenizer.json"))
    return [[2, *tokenizer.encode(text, add_special_tokens=False).ids] for text in ("The fox ran over", "def add(a, b):")]


def drafted_ids(model: nn.Module, drafter: nn.Module, prompt: list[int]) -> list[int]:
    steps = generate_step(
        mx.array([prompt]), model, None, None, max_tokens=NEW_TOKENS, temperature=0.0, draft_model=drafter, draft_kind="mtp"
    )
    return [int(token if isinstance(token, int) else token.item()) for token, _ in steps]


def equal_start(ours: list[int], theirs: list[int]) -> bool:
    return ours[: len(theirs)] == theirs


def check_pair(pair: Path, form: Format, place: Path) -> dict:
    row: dict = {"pair": pair.name, "format": form.name}
    target, assistant = place / "target", place / "assistant"
    report = quantize(pair / "target", target, form)
    row["bitsPerWeight"] = round(report["bitsPerWeight"], 3)
    theirs = peer_target(readable_source(pair / "target", target, place / "target-source"), form)
    row["targetTensors"], row["targetBytes"] = compare_bytes(tensors_of(target), theirs)
    lm, _ = lm_load(target, strict=True)
    vlm = vlm_load(target, strict=True)
    ours = packing_of(vlm)
    lm_packing = {canonical({k: 0}).popitem()[0]: v for k, v in packing_of(lm).items()}
    if lm_packing != {canonical({k: 0}).popitem()[0]: v for k, v in ours.items()}:
        raise AssertionError("mlx-lm and mlx-vlm read different parameters")
    row["packedModules"] = len(ours)
    try:
        quantize(pair / "assistant", assistant, form)
    except RuntimeError as error:
        if "divides none" not in str(error):
            raise
        row["assistant"] = "no row is divisible"
        assistant = None
    if assistant:
        source = readable_source(pair / "assistant", assistant, place / "assistant-source")
        theirs = peer_assistant(source, form)
        row["assistantTensors"], row["assistantBytes"] = compare_bytes(tensors_of(assistant), theirs)
    to_float32(vlm)
    row["ids"] = 0
    for prompt in prompts_of(pair):
        plain = our_ids(target, prompt)
        try:
            theirs_ids = vlm_ids(vlm, prompt)
        except ValueError as error:
            # mx.dequantize of 0.32.4 cannot take some numbers of rows in nvfp4; the peer's, not ours.
            row["peerFails"] = str(error)
            theirs_ids = []
        if not equal_start(plain, theirs_ids):
            at = next(i for i, (a, b) in enumerate(zip(plain, theirs_ids, strict=False)) if a != b)
            raise AssertionError(f"ids differ from mlx-vlm's at {at}")
        row["ids"] += len(theirs_ids)
        if assistant:
            if our_ids(target, prompt, assistant) != plain:
                raise AssertionError("drafted ids are not the plain ones")
            drafter, _ = load_drafter(str(assistant))
            if "peerFails" in row:
                row["peerDrafted"] = "loads"
                continue
            if vlm.config.model_type == "gemma4_text":
                row["peerDrafted"] = "loads; mlx-vlm 0.7.10 drafts for containers only"
                continue
            drafted = drafted_ids(vlm, to_float32(drafter), prompt)
            row["peerDrafted"] = row.get("peerDrafted", 0) + len(drafted)
            if not equal_start(drafted, theirs_ids):
                row["peerDraftedEqual"] = False
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="rows as JSON lines")
    parser.add_argument("--only", help="the name of one pair")
    args = parser.parse_args()
    pairs = [ROOT / "models/tiny-gemma4", *sorted(p.parent for p in (ROOT / "test/golden").glob("*/golden.json"))]
    rows, failures = [], 0
    for pair in pairs:
        config = json.loads((pair / "target/config.json").read_text())
        if (args.only and pair.name != args.only) or "quantization" in config:
            continue
        for form in formats():
            with tempfile.TemporaryDirectory() as folder:
                try:
                    row = check_pair(pair, form, Path(folder))
                except Exception as error:  # noqa: BLE001 - each cell is told, whatever became of it
                    unfit = "divides none" in str(error)
                    why = f"{type(error).__name__}: {error}"[:300]
                    row = {"pair": pair.name, "format": form.name, **({"skipped": "no row is divisible"} if unfit else {"failed": why})}
                    failures += not unfit
            rows.append(row)
            print(json.dumps(row), flush=True)
    if args.output:
        args.output.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    print(f"{len(rows)} cells, {failures} failures")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
