"""Runs the reference on a stored pair and collects its numbers."""

from dataclasses import dataclass

import torch

from pairs import Pair

DRAFT_STEPS, GREEDY_TOKENS = 6, 200
TYPES = ("full_attention", "sliding_attention")


@dataclass
class TargetRun:
    logits: torch.Tensor  # (T, V)
    hidden: torch.Tensor  # (T, H), after the final norm
    shared_kv: dict[str, tuple[torch.Tensor, torch.Tensor]]  # each (kv_heads, T, d)
    router_margin: float | None  # smallest score of a chosen expert minus the best one left out, over rows and layers
    experts: list[list[int]] | None  # by layer: how often each expert is chosen


@dataclass
class DraftRun:
    tokens: list[int]
    logits: torch.Tensor  # (K, V)
    hidden: torch.Tensor  # (K, H), post_projection's output
    clusters: list[list[int]] | None  # by step, best first
    candidates: list[list[int]] | None  # by step, token ids of those clusters in stored order
    margin: float  # smallest top-1 minus top-2 of all steps
    cluster_margin: float | None  # smallest score of a chosen cluster minus the best one left out


@torch.no_grad()
def run_target(target, ids: list[int]) -> TargetRun:
    routed: list[tuple[torch.Tensor, torch.Tensor]] = []
    routers = [module for name, module in target.named_modules() if name.endswith(".router")]
    hooks = [r.register_forward_hook(lambda _m, _i, out: routed.append((out[0], out[2]))) for r in routers]
    out = target(
        torch.tensor([ids]), use_cache=False, output_hidden_states=True, return_shared_kv_states=True
    )
    for hook in hooks:
        hook.remove()
    return TargetRun(
        out.logits[0],
        out.hidden_states[-1][0],
        {t: (out.shared_kv_states[t][0][0], out.shared_kv_states[t][1][0]) for t in TYPES},
        min((routing_margin(p, c.shape[-1]) for p, c in routed), default=None),
        [torch.bincount(c.flatten(), minlength=p.shape[-1]).tolist() for p, c in routed] or None,
    )


def routing_margin(probabilities: torch.Tensor, k: int) -> float:
    best = probabilities.topk(k + 1, dim=-1).values.log()  # (rows, k + 1): softmax keeps differences of scores
    return (best[:, k - 1] - best[:, k]).min().item()


@torch.no_grad()
def greedy_with_cache(target, prompts: list[list[int]], steps: int = GREEDY_TOKENS) -> list[list[int]]:
    """`generate`, with eos switched off."""
    out = target.generate(
        torch.tensor(prompts),
        attention_mask=torch.ones(len(prompts), len(prompts[0]), dtype=torch.long),
        max_new_tokens=steps,
        min_new_tokens=steps,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    return out[:, len(prompts[0]) :].tolist()


def margins(logits: torch.Tensor) -> torch.Tensor:
    top = logits.topk(2, dim=-1).values
    return top[..., 0] - top[..., 1]


def visible_kv(run: TargetRun, position: int, window: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The keys that a drafter at `position` may see: below it, and on sliding layers inside the window."""
    start = {"full_attention": 0, "sliding_attention": max(0, position - window + 1)}
    return {t: tuple(x[None, :, start[t] : position] for x in run.shared_kv[t]) for t in TYPES}


@torch.no_grad()
def run_draft(pair: Pair, target, assistant, run: TargetRun, ids: list[int], position: int, kv=None, rope=None) -> DraftRun:
    """DRAFT_STEPS chained steps of the reference's assistant for the bonus token `ids[position]`.

    `kv` and `rope` are for controls only: other keys, or another rope position, than the right ones.
    """
    kv = kv or visible_kv(run, position, pair.window)
    embed = target.get_input_embeddings()
    token, hidden = torch.tensor([[ids[position]]]), run.hidden[None, position - 1 : position]
    scores: list[torch.Tensor] = []
    head = assistant.masked_embedding
    hook = head.centroids.register_forward_hook(lambda _m, _i, out: scores.append(out[0, 0])) if head is not None else None
    tokens, logits, hiddens = [], [], []
    for _ in range(DRAFT_STEPS):
        out = assistant(
            inputs_embeds=torch.cat([embed(token), hidden], dim=-1),
            position_ids=torch.tensor([[position if rope is None else rope]]),
            shared_kv_states=kv,
            use_cache=False,
        )
        token, hidden = out.logits.argmax(-1), out.last_hidden_state
        tokens.append(token.item())
        logits.append(out.logits[0, 0])
        hiddens.append(hidden[0, 0])
    clusters = candidates = cluster_margin = None
    if hook is not None:
        hook.remove()
        k = head.centroid_intermediate_top_k
        order = head.token_ordering.view(head.num_centroids, -1)
        clusters = [s.topk(k).indices.tolist() for s in scores]
        candidates = [order[c].flatten().tolist() for c in clusters]
        best = torch.stack([s.topk(k + 1).values for s in scores])
        cluster_margin = (best[:, k - 1] - best[:, k]).min().item()
    all_logits = torch.stack(logits)
    return DraftRun(
        tokens, all_logits, torch.stack(hiddens), clusters, candidates, margins(all_logits).min().item(), cluster_margin
    )


def accepted(draft: DraftRun, ids: list[int], position: int) -> int:
    """How many draft tokens greedy verification accepts; `ids` must be greedy from `position` on."""
    count = 0
    for token, truth in zip(draft.tokens, ids[position + 1 :]):
        if token != truth:
            break
        count += 1
    return count


def acceptance(pair: Pair, target, assistant, ids: list[int], block: int = 3) -> float:
    """Acceptance rate over the greedy continuation, `block` tokens a round, K/V cut right. The last rounds propose as
    many tokens as are left to be generated beside the bonus."""
    run = run_target(target, ids)
    position, proposed, taken = pair.prompt_length, 0, 0
    while position < len(ids) - 1:
        steps = min(block, len(ids) - 2 - position)
        draft = run_draft(pair, target, assistant, run, ids, position)
        n = min(steps, accepted(draft, ids, position))
        proposed, taken, position = proposed + steps, taken + n, position + n + 1
    return taken / proposed
