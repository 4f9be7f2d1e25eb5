"""mlx-vlm as a peer: generate_step(), with its MTP drafter where it drafts, and single forward calls."""

from __future__ import annotations

import gc
import json
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_map
from mlx_vlm.generate.ar import generate_step
from mlx_vlm.models import cache as caches
from mlx_vlm.models import gemma4
from mlx_vlm.speculative.drafters import load_drafter
from mlx_vlm.utils import load_model
from protocol import milliseconds_since, serve, timed


# Its class for text-only checkpoints exports nothing that a drafter needs; the multimodal one does. A text-only folder is
# shown to it as a multimodal one, whose vision tower, the smallest there can be, is never run.
VISION = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 64}


def load_target(folder: Path) -> object:
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] != "gemma4_text":
        return load_model(folder)
    with tempfile.TemporaryDirectory() as view:
        for file in folder.resolve().iterdir():
            if file.name != "config.json":
                (Path(view) / file.name).symlink_to(file)
        outer = {key: config[key] for key in ("quantization", "quantization_config") if key in config}
        outer |= {"model_type": "gemma4", "text_config": config, "vision_config": VISION, "audio_config": None, "eos_token_id": [1]}
        (Path(view) / "config.json").write_text(json.dumps(outer))
        return load_model(Path(view))


def named_as_multimodal(sanitize: object) -> object:
    prefix = "model.language_model."

    def renamed(name: str) -> str:
        return prefix + name.removeprefix("model.") if name.startswith("model.") and not name.startswith(prefix) else name

    return lambda self, weights: sanitize(self, {renamed(name): weight for name, weight in weights.items()})


gemma4.Model.sanitize = named_as_multimodal(gemma4.Model.sanitize)


def as_float32(model: object) -> None:
    model.update(tree_map(lambda a: a.astype(mx.float32) if mx.issubdtype(a.dtype, mx.floating) else a, model.parameters()))
    mx.eval(model.parameters())


def greedy(logits: mx.array) -> mx.array:
    return mx.argmax(logits, axis=-1)


class Peer:
    def load(self, request: dict) -> dict:
        mx.set_default_device(mx.cpu)
        self.target = self.assistant = None
        gc.collect()
        start = time.perf_counter()
        self.target = load_target(Path(request["target"]))
        if request.get("assistant"):
            self.assistant, kind = load_drafter(request["assistant"])
            if kind != "mtp":
                raise ValueError(f"mlx-vlm takes the assistant for a drafter of kind {kind}, not mtp")
        if request["dtype"] == "f32":
            for model in filter(None, [self.target, self.assistant]):
                as_float32(model)
        mx.eval(self.target.language_model(mx.array([[2]])).logits)
        return {"ms": milliseconds_since(start), "version": version("mlx-vlm"), "mlx": version("mlx")}

    def generate(self, request: dict, **drafting: object) -> tuple[list[int], list[float], float]:
        ids, times = [], []
        start = time.perf_counter()
        tokens = request["tokens"]
        steps = generate_step(mx.array([request["prompt"]]), self.target, None, None, max_tokens=tokens, temperature=0.0, **drafting)
        for token, _ in steps:
            times.append(time.perf_counter())
            ids.append(int(token))
            if len(ids) == tokens:
                break
        return ids, times, start

    def plain(self, request: dict) -> dict:
        ids, times, start = self.generate(request)
        return {"ids": ids, "prefillMs": (times[0] - start) * 1000, "decodeMs": (times[-1] - times[0]) * 1000}

    def drafted(self, request: dict) -> dict:
        ids, times, _ = self.generate(request, draft_model=self.assistant, draft_kind="mtp", draft_block_size=request["draftTokens"] + 1)
        proposed, accepted = self.assistant.draft_lens, self.assistant.accept_lens
        return {
            "ids": ids,
            "decodeMs": (times[-1] - times[0]) * 1000,
            "rounds": len(proposed),
            "proposed": sum(proposed),
            "accepted": sum(accepted),
        }

    def prefill(self, request: dict) -> dict:
        ids = mx.array([request["prompt"]])
        cache = caches.make_prompt_cache(self.target.language_model)
        return {"ms": timed(1, lambda: greedy(self.target.language_model(ids, cache=cache, logits_to_keep=1).logits).tolist())[0]}

    def step(self, request: dict) -> dict:
        """Steps of `rows` tokens after the prompt, all kept."""
        model, prompt = self.target.language_model, request["prompt"]
        cache = caches.make_prompt_cache(model)
        mx.eval(model(mx.array([prompt]), cache=cache, logits_to_keep=1).logits)
        block = mx.array([prompt[-request["rows"] :]])
        return {"ms": timed(request["repeat"], lambda: greedy(model(block, cache=cache).logits).tolist())}

    def draft(self, request: dict) -> dict:
        prompt, steps = request["prompt"], request["draftTokens"]
        model = self.target.language_model
        cache = caches.make_prompt_cache(model)
        out = model(mx.array([prompt]), cache=cache, logits_to_keep=1, return_hidden=True, return_shared_kv=True)
        bonus, hidden = int(greedy(out.logits[:, -1]).item()), out.hidden_states[-1][:, -1:]
        mx.eval(hidden)
        self.assistant.reset(self.target)
        self.assistant.set_shared_kv(out.shared_kv_states, len(prompt), position=len(prompt) - 1, kv_valid_len=len(prompt))

        def run() -> list[int]:
            return self.assistant.draft_block(bonus, hidden, None, steps + 1, greedy, greedy=True).tolist()

        return {"ms": [ms / steps for ms in timed(request["repeat"], run)]}


if __name__ == "__main__":
    peer = Peer()
    serve({op: getattr(peer, op) for op in ("load", "plain", "drafted", "prefill", "step", "draft")})
