"""transformers as a peer: generate(), with assistant_model where it drafts, and single forward calls."""

from __future__ import annotations

import gc
import time

import torch
import transformers
from protocol import milliseconds_since, serve, timed
from transformers import AutoModelForCausalLM
from transformers.generation.streamers import BaseStreamer

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


class Clock(BaseStreamer):
    """Notes when tokens come: the prompt first, then the first token, then one call a step or round."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.sizes: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        self.times.append(time.perf_counter())
        self.sizes.append(value.numel())

    def end(self) -> None:
        pass


class Peer:
    def load(self, request: dict) -> dict:
        torch.set_num_threads(request["threads"])
        torch.set_grad_enabled(False)
        self.target = self.assistant = None
        gc.collect()
        start = time.perf_counter()
        dtype = DTYPES[request["dtype"]]
        self.target = AutoModelForCausalLM.from_pretrained(request["target"], dtype=dtype).eval()
        if request.get("assistant"):
            self.assistant = AutoModelForCausalLM.from_pretrained(request["assistant"], dtype=dtype).eval()
        self.target(torch.tensor([[2]]))
        for model in filter(None, [self.target, self.assistant]):
            model.generation_config.eos_token_id = None
        return {"ms": milliseconds_since(start), "version": transformers.__version__, "torch": torch.__version__}

    def generate(self, prompt: list[int], tokens: int, assistant: object) -> tuple[list[int], Clock, float]:
        ids, clock = torch.tensor([prompt]), Clock()
        start = time.perf_counter()
        out = self.target.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            assistant_model=assistant,
            max_new_tokens=tokens,
            do_sample=False,
            streamer=clock,
        )
        return out[0, len(prompt) :].tolist(), clock, start

    def plain(self, request: dict) -> dict:
        ids, clock, start = self.generate(request["prompt"], request["tokens"], None)
        return {"ids": ids, "prefillMs": (clock.times[1] - start) * 1000, "decodeMs": (clock.times[-1] - clock.times[1]) * 1000}

    def drafted(self, request: dict) -> dict:
        config = self.assistant.generation_config
        config.num_assistant_tokens = request["draftTokens"]
        config.num_assistant_tokens_schedule = "constant"
        ids, clock, _ = self.generate(request["prompt"], request["tokens"], self.assistant)
        rounds = len(clock.times) - 2
        # Each round's tokens are its accepted drafts and one more.
        left = request["tokens"] - clock.sizes[1]
        proposed = 0
        for size in clock.sizes[2:]:
            proposed += max(0, min(request["draftTokens"], left - 1))
            left -= size
        return {
            "ids": ids,
            "decodeMs": (clock.times[-1] - clock.times[1]) * 1000,
            "rounds": rounds,
            "proposed": proposed,
            "accepted": sum(clock.sizes[2:]) - rounds,
        }

    def prefill(self, request: dict) -> dict:
        ids = torch.tensor([request["prompt"]])
        return {"ms": timed(1, lambda: self.target(ids, use_cache=True, logits_to_keep=1).logits.argmax(-1).item())[0]}

    def step(self, request: dict) -> dict:
        """Steps of `rows` tokens after the prompt, all kept."""
        prompt = request["prompt"]
        cache = self.target(torch.tensor([prompt]), use_cache=True, logits_to_keep=1).past_key_values
        block = torch.tensor([prompt[-request["rows"] :]])
        return {"ms": timed(request["repeat"], lambda: self.target(block, past_key_values=cache, use_cache=True).logits.argmax(-1).tolist())}

    def draft(self, request: dict) -> dict:
        """The loop of SinglePositionMultiTokenCandidateGenerator after the prompt."""
        prompt, steps = request["prompt"], request["draftTokens"]
        out = self.target(torch.tensor([prompt]), use_cache=True, logits_to_keep=1, output_hidden_states=True, return_shared_kv_states=True)
        bonus, position = out.logits.argmax(-1), torch.tensor([[len(prompt)]])
        embed = self.target.get_input_embeddings()
        mask = torch.ones((1, len(prompt) + 1), dtype=torch.long)

        def run() -> list[int]:
            token, hidden, drafted = bonus, out.hidden_states[-1][:, -1:], []
            for _ in range(steps):
                result = self.assistant(
                    inputs_embeds=torch.cat([embed(token), hidden], dim=-1),
                    attention_mask=mask,
                    position_ids=position,
                    shared_kv_states=out.shared_kv_states,
                    use_cache=False,
                )
                token, hidden = result.logits.argmax(-1), result.last_hidden_state
                drafted.append(token)
            return torch.cat(drafted, dim=1).tolist()

        return {"ms": [ms / steps for ms in timed(request["repeat"], run)]}


if __name__ == "__main__":
    peer = Peer()
    serve({op: getattr(peer, op) for op in ("load", "plain", "drafted", "prefill", "step", "draft")})
