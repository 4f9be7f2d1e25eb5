"""Makes test/golden/<name>/: tiny trained Gemma 4 pairs, and the reference's numbers on them. See README.md."""

import argparse
import json
import random
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

import peer
from checkpoint import check_same_weights, load_pair, write_pair
from language import Language
from pairs import PAIRS, Pair
from quantize import bits_per_weight, load_quantized, write_quantized
from train import log, train_assistant, train_target
from vectors import TYPES, DraftRun, TargetRun, accepted, acceptance, greedy_with_cache, margins, run_draft, run_target
from verify import check_cache, check_draft_mask, check_generator, check_greedy, controls, noise

REFERENCE = "5.22.2"
LEAST_MARGIN = 1e-2  # of greedy and draft argmaxes and of the cluster choice; an f32 gap is some 1e-5
LEAST_ROUTER_MARGIN = 2e-5  # of the scores of experts, whose f32 gap is some 1e-6: a choice that flips moves the whole row
PROMPTS_TRIED = 48


def try_prompt(pair: Pair, target, assistant, prompt: list[int], greedy: list[int]):
    """A prompt serves if no choice along its way is a near-tie: else comparing ids would be a coin flip."""
    ids = prompt + greedy
    run = run_target(target, ids)
    least = margins(run.logits[len(prompt) - 1 : -1]).min().item()
    if least < LEAST_MARGIN or not {0, 1, 3}.isdisjoint(greedy):
        return None
    if run.router_margin is not None and run.router_margin < LEAST_ROUTER_MARGIN:
        return None
    drafts = [run_draft(pair, target, assistant, run, ids, p) for p in pair.draft_positions]
    tight = min(min(d.margin, d.cluster_margin or d.margin) for d in drafts)
    if tight < LEAST_MARGIN / 2:
        return None
    return ids, run, least, drafts, tight


def find_prompt(pair: Pair, target, assistant):
    """Of the prompts that serve, the one whose continuation repeats itself least."""
    language = Language(pair.target["vocab_size"], pair.seed)
    rng = random.Random(pair.seed * 1000 + 3)
    prompts = [language.sample(pair.prompt_length, rng) for _ in range(PROMPTS_TRIED)]
    found = []
    for prompt, greedy in zip(prompts, greedy_with_cache(target, prompts)):
        if (case := try_prompt(pair, target, assistant, prompt, greedy)) is None:
            continue
        if greedy == greedy_with_cache(target, [prompt])[0]:  # else a batch broke a tie the other way: too near
            found.append((len({tuple(greedy[i : i + 6]) for i in range(195)}), case))
    log(f"{pair.name}: {len(found)} of {PROMPTS_TRIED} prompts serve; distinct 6-grams {sorted(n for n, _ in found)}")
    return max(found, key=lambda item: item[0])


def tensors_of(pair: Pair, target, run: TargetRun, ids: list[int], drafts: list[DraftRun]) -> dict[str, torch.Tensor]:
    prompt = run_target(target, ids[: pair.prompt_length])
    tensors = {"logits": prompt.logits, "last_hidden": prompt.hidden, "sequence.last_hidden": run.hidden}
    for prefix, source in (("shared_kv", prompt), ("sequence.shared_kv", run)):
        for t in TYPES:
            tensors[f"{prefix}.{t}.keys"], tensors[f"{prefix}.{t}.values"] = source.shared_kv[t]
    tensors["greedy.margins"] = margins(run.logits[pair.prompt_length - 1 : -1])
    for i, draft in enumerate(drafts):
        tensors[f"draft.{i}.logits"], tensors[f"draft.{i}.hidden"] = draft.logits, draft.hidden
    return {name: tensor.contiguous().float() for name, tensor in tensors.items()}


def draft_entry(pair: Pair, ids: list[int], position: int, draft: DraftRun) -> dict:
    entry = {"position": position, "bonus": ids[position], "tokens": draft.tokens, "minMargin": draft.margin}
    if position >= pair.prompt_length:  # the greedy path from here on, so acceptance is known
        entry["accepted"] = accepted(draft, ids, position)
    if draft.clusters is not None:
        entry |= {"centroidTopK": draft.clusters, "candidates": draft.candidates, "minClusterMargin": draft.cluster_margin}
    return entry


def load(pair: Pair, folder: Path, dtype=torch.float32):
    return (load_quantized if pair.quantized else load_pair)(pair, folder, dtype)


def make_vectors(pair: Pair, folder: Path) -> None:
    target, assistant = load(pair, folder)
    if not pair.quantized:
        check_same_weights(target, folder)
    distinct, (ids, run, least, drafts, tight) = find_prompt(pair, target, assistant)
    worst = max(check_cache(target, run, ids, chunk) for chunk in (1, 7, pair.prompt_length))
    check_greedy(target, ids, pair.prompt_length, run)
    agree = {}
    for position, draft in zip(pair.draft_positions, drafts):
        worst = max(worst, check_draft_mask(pair, target, assistant, run, ids, position, draft))
        agree[position] = check_generator(target, assistant, ids, position, draft)
        assert agree[position] or position >= pair.window, f"the reference's generator drafts otherwise at {position}"
    report = {
        "distinctSixGrams": distinct,
        "minDraftMargin": tight,
        "acceptanceRateK3": round(acceptance(pair, target, assistant, ids), 4),
        "cacheAndMaskGap": worst,
        "wrongDraftGaps": controls(pair, target, assistant, run, ids, drafts),
        "gapToF64": noise(load(pair, folder, torch.float64)[0], run, ids),
    }
    if pair.quantized:
        report["bitsPerWeight"] = {part: bits_per_weight(folder / part) for part in ("target", "assistant")}
        report["peer"] = peer.compare(folder / "target", ids[: pair.prompt_length], ids[pair.prompt_length :])
    if run.router_margin is not None:
        report |= {"minRouterMargin": run.router_margin, "expertsChosen": run.experts}
        assert min(min(counts) for counts in run.experts) > 0, f"an expert is never chosen: {run.experts}"
    tensors = tensors_of(pair, target, run, ids, drafts)
    save_file(tensors, folder / "vectors.safetensors")
    golden = {
        "name": pair.name,
        "source": {"transformers": transformers.__version__, "torch": torch.__version__},
        "promptIds": ids[: pair.prompt_length],
        "greedyIds": ids[pair.prompt_length :],
        "slidingWindow": pair.window,
        "minMargin": least,
        "draft": [draft_entry(pair, ids, p, d) for p, d in zip(pair.draft_positions, drafts)],
        "report": report,
        "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
    }
    write_json_compact(folder / "golden.json", golden)
    log(f"{pair.name}: minMargin {least:.4f}, {report}")
    log(f"{pair.name}: the reference's generator agrees by position: {agree}")


def trained(pair: Pair, out: Path):
    if pair.trained is not None:
        return load_pair(PAIRS[pair.trained], out / pair.trained)
    target = train_target(pair)
    return target, train_assistant(pair, target)


def write_json_compact(path: Path, golden: dict) -> None:
    """One key a line at the top level, lists on one line: readable, and diffs stay small."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--only", choices=sorted(PAIRS), help="one pair instead of all")
    parser.add_argument("--out", type=Path, default=root / "test" / "golden")
    parser.add_argument("--vectors-only", action="store_true", help="keep the checkpoints, make the vectors anew")
    arguments = parser.parse_args()
    if transformers.__version__ != REFERENCE:
        raise SystemExit(f"transformers {REFERENCE} is the reference, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # fixed order of sums, and room for others on a small machine
    for pair in [PAIRS[arguments.only]] if arguments.only else PAIRS.values():
        folder = arguments.out / pair.name
        if not arguments.vectors_only:
            write = write_quantized if pair.quantized else write_pair
            write(pair, *trained(pair, arguments.out), folder)
        make_vectors(pair, folder)


if __name__ == "__main__":
    main()
