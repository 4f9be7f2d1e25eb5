"""Perplexity of the embedded target on a fixed held-out text: ours beside transformers, on the same bfloat16 weights.

    python training/check_perplexity.py [--save] [--golden]

The text is the 20 passages of eval/prompts-prose.json (public domain, never trained on) joined by empty lines; each
token is given. transformers computes in float32, the reference, and in bfloat16, which shows what rounding activations
costs by itself. Ours comes from bench/perplexity.mjs. Exits with 1 where ours is not within 0.1 % of the reference.
--save writes the rows into bench/results/, --golden the reference into test/golden/perplexity.json, which a test reads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "models" / "tiny-gemma4" / "target"
PASSAGES = ROOT / "training" / "eval" / "prompts-prose.json"
GOLDEN = ROOT / "test" / "golden" / "perplexity.json"
MOST = 1e-3
VERSIONS = {"transformers": transformers.__version__, "torch": torch.__version__}


def held_out_ids() -> list[int]:
    passages = [row["prompt"] for row in json.loads(PASSAGES.read_text())]
    return Tokenizer.from_file(str(TARGET / "tokenizer.json")).encode("\n\n".join(passages)).ids


@torch.no_grad()
def theirs(ids: list[int], dtype: torch.dtype) -> float:
    model = AutoModelForCausalLM.from_pretrained(TARGET, dtype=dtype)
    logits = model(torch.tensor([ids])).logits[0, :-1].double()
    return math.exp(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])).item())


def ours(dtype: str, isa: str) -> dict:
    command = ["node", ROOT / "bench" / "perplexity.mjs", "--json", "--dtype", dtype]
    done = subprocess.run(command, env=os.environ | {"MLX_GEMMA_ISA": isa}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)  # it has said why
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--golden", action="store_true")
    flags = parser.parse_args()

    ids = held_out_ids()
    reference = theirs(ids, torch.float32)
    rows = [
        {"of": "transformers", "dtype": "f32", "perplexity": reference},
        {"of": "transformers", "dtype": "bf16", "perplexity": theirs(ids, torch.bfloat16)},
    ]
    for dtype, isa in (("bf16", "scalar"), ("bf16", ""), ("f16", ""), ("f32", "")):
        measured = ours(dtype, isa)
        if measured["ids"] != ids:
            print("the tokenizers give other ids", file=sys.stderr)
            return 1
        kernels = measured["machine"]["kernels"]
        rows.append({"of": f"ours, {kernels}", "dtype": dtype, "perplexity": measured["perplexity"]})
    for row in rows:
        row["ratio"] = row["perplexity"] / reference
        print(f"{row['of']:14} {row['dtype']:4}  {row['perplexity']:.4f}  {100 * (row['ratio'] - 1):+.4f} %")

    if flags.save:
        about = measured["machine"]
        about["versions"] |= VERSIONS
        about |= {"model": "embedded", "tokens": len(ids) - 1}
        path = ROOT / "bench" / "results" / f"perplexity-{about['date'][:10]}-{about['commit']}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in [about, *rows]))
        print(f"rows: {path.relative_to(ROOT)}")
    if flags.golden:
        golden = {"source": VERSIONS, "tokens": len(ids) - 1, "perplexity": reference}
        GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")

    far = [row for row in rows if row["of"] != "transformers" and abs(row["ratio"] - 1) > MOST]
    for row in far:
        print(f"{row['of']}, {row['dtype']}: expected within {100 * MOST} % of transformers' float32", file=sys.stderr)
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
