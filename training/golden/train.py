"""Short training of a pair, so that the margins between logits are real ones."""

import math
import random
import sys

import torch
import torch.nn.functional as nnf

from families import FAMILIES
from language import Language
from pairs import Pair

SEQUENCE, BATCH, CHAIN = 272, 8, 3


def log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def unsettle(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Moves norm weights and every kind of scale off 1: at 1, code that forgets them would pass every test."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith(("router.scale", "router.per_expert_scale")):
                parameter.mul_(1 + 0.15 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if name.endswith("layer_scalar"):
                buffer.copy_(0.6 + 0.6 * torch.rand(1, generator=generator))


def round_to_bf16(model: torch.nn.Module) -> None:
    """f32 weights that bf16 holds exactly: half the size in git, and a bf16 load has the same weights."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.bfloat16().float())


def batches(pair: Pair, salt: int):
    language = Language(pair.target["vocab_size"], pair.seed)
    rng = random.Random(pair.seed * 1000 + salt)
    while True:
        yield torch.tensor([language.sample(SEQUENCE, rng) for _ in range(BATCH)])  # (B, T)


def optimizer_for(model: torch.nn.Module, steps: int, peak: float):
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.01)
    warmup = 40

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def train_target(pair: Pair):
    torch.manual_seed(pair.seed)
    family = FAMILIES[pair.family]
    model = family.text_model(family.text_config(**pair.target, tie_word_embeddings=True)).float()
    routed = Routing(model)
    unsettle(model, torch.Generator().manual_seed(pair.seed + 1))
    optimizer, schedule = optimizer_for(model, pair.target_steps, 3e-3)
    source = batches(pair, salt=1)
    for step in range(pair.target_steps):
        ids = next(source)
        logits = model(ids[:, :-1], use_cache=False).logits
        loss = nnf.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        total = loss + 0.02 * routed.imbalance()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == pair.target_steps - 1:
            log(f"{pair.name} target {step}: loss {loss.item():.3f}")
    routed.remove()
    round_to_bf16(model)
    return model.eval()


class Routing:
    """Watches the routers of a mixture of experts, so that training keeps every expert in use. Without one: nothing."""

    def __init__(self, model: torch.nn.Module):
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        routers = [module for name, module in model.named_modules() if name.endswith(".router")]
        self.hooks = [router.register_forward_hook(self.record) for router in routers]

    def record(self, _router, _inputs, output) -> None:
        self.seen.append((output[0], output[2]))  # (rows, E) probabilities, (rows, k) chosen

    def imbalance(self) -> torch.Tensor:
        """Sum over layers of E · share of choices · mean probability (Switch Transformer's): 1 a layer when even."""
        terms = []
        for probabilities, chosen in self.seen:
            count = probabilities.shape[-1]
            share = torch.bincount(chosen.flatten(), minlength=count) / chosen.numel()
            terms.append(count * (share * probabilities.mean(0)).sum())
        self.seen.clear()
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()


def cluster_tokens(embeddings: torch.Tensor, clusters: int, seed: int) -> torch.Tensor:
    """Balanced k-means: a token ordering in which every cluster is of equal size and of similar tokens."""
    generator = torch.Generator().manual_seed(seed)
    points = nnf.normalize(embeddings, dim=-1)  # (V, H)
    vocab, size = points.shape[0], points.shape[0] // clusters
    centers = points[torch.randperm(vocab, generator=generator)[:clusters]]
    owner = torch.zeros(vocab, dtype=torch.long)
    for _ in range(10):
        scores = points @ centers.T  # (V, C)
        room, free = [size] * clusters, set(range(vocab))
        for flat in scores.flatten().argsort(descending=True).tolist():
            token, cluster = divmod(flat, clusters)
            if token in free and room[cluster]:
                owner[token], room[cluster] = cluster, room[cluster] - 1
                free.discard(token)
        centers = torch.stack([points[owner == c].mean(0) for c in range(clusters)])
    order = [(owner == c).nonzero().flatten() for c in range(clusters)]
    # Shuffled inside each cluster: no code may lean on ascending ids.
    return torch.cat([ids[torch.randperm(size, generator=generator)] for ids in order])


def training_masks(length: int, window: int) -> dict[str, torch.Tensor]:
    """Row p - 1 is the query at position p = 1 … T-1: keys below p, and inside the window on sliding layers."""
    p = torch.arange(1, length)[:, None]
    k = torch.arange(length)[None, :]
    full = k < p
    sliding = full & (p - k < window)
    return {"full_attention": full[None, None], "sliding_attention": sliding[None, None]}  # (1, 1, T-1, T)


def train_assistant(pair: Pair, target):
    torch.manual_seed(pair.seed + 2)
    family = FAMILIES[pair.family]
    config = family.assistant_config(text_config=family.text_config(**pair.assistant_text), **pair.assistant)
    model = family.assistant(config).float()
    unsettle(model, torch.Generator().manual_seed(pair.seed + 3))
    cluster_of = None
    if model.masked_embedding is not None:
        order = cluster_tokens(target.model.embed_tokens.weight.detach(), config.num_centroids, pair.seed)
        model.masked_embedding.token_ordering.copy_(order)
        cluster_of = torch.empty_like(order)
        cluster_of[order] = torch.arange(order.numel()) // (order.numel() // config.num_centroids)
    optimizer, schedule = optimizer_for(model, pair.assistant_steps, 4e-3)
    masks = training_masks(SEQUENCE, pair.window)
    source = batches(pair, salt=2)
    for step in range(pair.assistant_steps):
        ids = next(source)
        with torch.no_grad():
            out = target(ids, use_cache=False, output_hidden_states=True, return_shared_kv_states=True)
            embeds = target.model.embed_tokens(ids)
            labels = out.logits.argmax(-1)  # (B, T): the target's own choice after each position
        loss = chained_loss(model, embeds, labels, out, masks, cluster_of)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == pair.assistant_steps - 1:
            log(f"{pair.name} assistant {step}: loss {loss.item():.3f}")
    round_to_bf16(model)
    return model.eval()


def chained_loss(model, embeds, labels, out, masks, cluster_of) -> torch.Tensor:
    """Every position p drafts CHAIN tokens, its position and keys unchanged, its own post_projection fed back."""
    length = labels.shape[1]
    positions = torch.arange(1, length)[None]
    hidden = out.hidden_states[-1][:, :-1]  # (B, T-1, H): the row before p
    losses = []
    for j in range(CHAIN):
        pad = (0, 0, 0, j)  # queries near the end have no token left; their loss is left out below
        token = nnf.pad(embeds[:, 1 + j :], pad)
        state = model.model(
            inputs_embeds=model.pre_projection(torch.cat([token, hidden], dim=-1)),
            attention_mask=masks,
            position_ids=positions,
            shared_kv_states=out.shared_kv_states,
            use_cache=False,
        ).last_hidden_state
        hidden = model.post_projection(state)
        scored, label = state[:, : length - 1 - j], labels[:, 1 + j :].flatten()
        losses.append(nnf.cross_entropy(model.lm_head(scored).flatten(0, 1), label))
        if cluster_of is not None:
            clusters = model.masked_embedding.centroids(scored).flatten(0, 1)
            losses.append(nnf.cross_entropy(clusters, cluster_of[label]))
    return torch.stack(losses).sum() / CHAIN
