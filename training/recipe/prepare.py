"""The tokenizer, and the held-out prompts under `training/eval/`."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from corpus import chats, prose
from corpus.heldout import CHAT_PROMPTS

from .vocabulary import save_tokenizer, train_tokenizer

EVAL = Path(__file__).parent.parent / "eval"
CHATS = 16_000
# Of each speech, so that prose does not drown the chats.
SPEECH_CHARACTERS = 40_000


def prepare(work: Path, seed: int) -> None:
    rng = Random(seed)
    speeches, held_out = prose.speeches()
    texts = [chats.render(chats.conversation(rng)) for _ in range(CHATS)]
    texts += [speech[:SPEECH_CHARACTERS] for speech in speeches]
    save_tokenizer(train_tokenizer(texts), work / "tokenizer")
    write_prompts("prompts-chat.json", CHAT_PROMPTS)
    write_prompts("prompts-prose.json", prose.prefixes(held_out, Random(seed)))


def write_prompts(name: str, prompts: list[str]) -> None:
    EVAL.mkdir(exist_ok=True)
    rows = [{"prompt": prompt} for prompt in prompts]
    (EVAL / name).write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
