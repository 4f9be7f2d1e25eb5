"""Makes the embedded pair: tokenizer, target, assistant, checkpoint folders, in one command.

    python training/make_pair.py --work /tmp/pair --out models/tiny-gemma4

Takes up where it was stopped when started again with the same `--work`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from recipe import progress
from recipe.export import export_assistant, export_target
from recipe.prepare import prepare
from recipe.shapes import ASSISTANT, TARGET
from recipe.train_assistant import train_assistant
from recipe.train_target import train_target


def export(work: Path, out: Path) -> None:
    export_target(progress.load(work / "target.pt")["model"], TARGET, work / "tokenizer", out / "target")
    export_assistant(progress.load(work / "assistant.pt")["model"], ASSISTANT, work / "tokenizer", out / "assistant")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="checkpoints of the run")
    parser.add_argument("--out", type=Path, required=True, help="where target/ and assistant/ go")
    parser.add_argument("--target-steps", type=int, default=1500, help="of 4096 tokens each")
    parser.add_argument("--assistant-steps", type=int, default=1200, help="of 3072 tokens each")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--export-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(2)
    if not options.export_only:
        if not (options.work / "tokenizer").exists():
            prepare(options.work, options.seed)
        train_target(options.work, None, options.target_steps, options.seed)
        train_assistant(options.work, None, options.assistant_steps, options.seed)
    export(options.work, options.out)


if __name__ == "__main__":
    main()
