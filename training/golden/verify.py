"""Second opinions on the reference's numbers, each by another path through the reference. Any failure raises."""

import torch
from transformers import DynamicCache
from transformers.generation.candidate_generator import SinglePositionMultiTokenCandidateGenerator

from pairs import Pair
from vectors import DRAFT_STEPS, TYPES, DraftRun, TargetRun, run_draft, run_target, visible_kv

TOLERANCE = 2e-5  # f32 against f32, other shapes of the same sums


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return ((a - b).abs().max() / b.abs().max()).item()


def check(name: str, a: torch.Tensor, b: torch.Tensor, tolerance: float = TOLERANCE) -> float:
    value = gap(a.double(), b.double())
    assert value < tolerance, f"{name}: relative gap {value:.2e} is above {tolerance:.0e}"
    return value


@torch.no_grad()
def check_cache(target, run: TargetRun, ids: list[int], chunk: int) -> float:
    """The same sequence through a cache, `chunk` tokens at a time: logits, hidden, and the K/V that the step exports."""
    cache = DynamicCache(config=target.config.get_text_config())
    worst = 0.0
    for start in range(0, len(ids), chunk):
        part = torch.tensor([ids[start : start + chunk]])
        end = start + part.shape[1]
        out = target(
            part, past_key_values=cache, use_cache=True, output_hidden_states=True, return_shared_kv_states=True
        )
        worst = max(worst, check(f"logits {start}", out.logits[0], run.logits[start:end]))
        worst = max(worst, check(f"hidden {start}", out.hidden_states[-1][0], run.hidden[start:end]))
        for t in TYPES:
            for exported, whole in zip(out.shared_kv_states[t], run.shared_kv[t]):
                kept = exported[0]  # a sliding layer keeps only the last rows
                worst = max(worst, check(f"{t} {start}", kept, whole[:, end - kept.shape[1] : end]))
    return worst


@torch.no_grad()
def check_greedy(target, ids: list[int], prompt_length: int, run: TargetRun) -> None:
    """Greedy ids again from the run without a cache: every id is the argmax of the row before it."""
    again = run.logits[prompt_length - 1 : -1].argmax(-1).tolist()
    assert again == ids[prompt_length:], "greedy ids differ with and without a cache"
    # Causality: a prefix alone gives the same rows.
    short = run_target(target, ids[:prompt_length])
    check("prompt alone", short.logits, run.logits[:prompt_length])


@torch.no_grad()
def check_draft_mask(pair: Pair, target, assistant, run: TargetRun, ids: list[int], position: int, draft: DraftRun) -> float:
    """The same steps with all keys of the sequence given and hidden by a mask, instead of cropped away."""
    k = torch.arange(len(ids))
    full = k < position
    masks = {"full_attention": full, "sliding_attention": full & (position - k < pair.window)}
    masks = {t: m[None, None, None] for t, m in masks.items()}  # (1, 1, 1, S)
    kv = {t: tuple(x[None] for x in run.shared_kv[t]) for t in TYPES}
    embed = target.get_input_embeddings()
    hidden, token, worst = run.hidden[None, position - 1 : position], ids[position], 0.0
    for step in range(DRAFT_STEPS):
        state = assistant.model(
            inputs_embeds=assistant.pre_projection(torch.cat([embed(torch.tensor([[token]])), hidden], dim=-1)),
            attention_mask=masks,
            position_ids=torch.tensor([[position]]),
            shared_kv_states=kv,
            use_cache=False,
        ).last_hidden_state
        hidden = assistant.post_projection(state)
        dense = assistant.lm_head(state)[0, 0]
        seen = draft.candidates[step] if draft.candidates else slice(None)
        worst = max(worst, check(f"draft logits {position}.{step}", draft.logits[step][seen], dense[seen]))
        worst = max(worst, check(f"draft hidden {position}.{step}", draft.hidden[step], hidden[0, 0]))
        token = draft.tokens[step]
    return worst


@torch.no_grad()
def check_generator(target, assistant, ids: list[int], position: int, draft: DraftRun) -> bool:
    """transformers' own candidate generator right after a prefill of `position` tokens.

    Below the window its cropping is right and the tokens must agree; past it, it may show one sliding key more.
    """
    generator = SinglePositionMultiTokenCandidateGenerator(
        assistant, target.get_input_embeddings(), target.generation_config
    )
    generator.num_assistant_tokens, generator.main_model_max_length = DRAFT_STEPS, len(ids) + DRAFT_STEPS + 2
    out = target(
        torch.tensor([ids[:position]]), use_cache=True, output_hidden_states=True, return_shared_kv_states=True
    )
    got, _ = generator.get_candidates(torch.tensor([ids[: position + 1]]), {}, out, False, 0)
    return got[0, position + 1 :].tolist() == draft.tokens


@torch.no_grad()
def noise(target64, run: TargetRun, ids: list[int]) -> dict[str, float]:
    """Distance of the f32 numbers from the same model in f64: what an f32 implementation can be held to."""
    exact = run_target(target64, ids)
    return {
        "logits": gap(run.logits.double(), exact.logits),
        "last_hidden": gap(run.hidden.double(), exact.hidden),
        "shared_kv": max(gap(a.double(), b) for t in TYPES for a, b in zip(run.shared_kv[t], exact.shared_kv[t])),
    }


def controls(pair: Pair, target, assistant, run: TargetRun, ids: list[int], drafts: list[DraftRun]) -> dict[str, float]:
    """What usual mistakes do to a first step's hidden, the most over the positions: far above any tolerance, or the
    fixture could not tell right from wrong."""
    worst = dict.fromkeys(("ropeOneLess", "oneSlidingKeyMore", "rejectedKeysSeen"), 0.0)
    whole = {t: tuple(x[None] for x in run.shared_kv[t]) for t in TYPES}
    for p, right in zip(pair.draft_positions, drafts):
        cut = visible_kv(run, p, pair.window)
        wider = tuple(x[:, :, max(0, p - pair.window) : p] for x in whole["sliding_attention"])
        later = tuple(x[:, :, : p + 3] for x in whole["full_attention"])
        wrong = {
            "ropeOneLess": dict(rope=p - 1),
            "oneSlidingKeyMore": dict(kv=cut | {"sliding_attention": wider}),
            "rejectedKeysSeen": dict(kv=cut | {"full_attention": later}),
        }
        for name, change in wrong.items():
            other = run_draft(pair, target, assistant, run, ids, p, **change)
            worst[name] = max(worst[name], gap(other.hidden[0], right.hidden[0]))
    assert min(worst.values()) > 1e-3, f"a wrong draft step is hard to tell from the right one: {worst}"
    return worst
