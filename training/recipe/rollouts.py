"""The target's own text: rows of requests that it answers and of prose that it continues, all greedy."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from corpus import chats, prose
from tokenizers import Tokenizer

from .decode import Decoder
from .rows import ROW
from .target import Target
from .vocabulary import BOS, END_OF_TURN, EOS

PROSE_SHARE = 0.25
PROSE_TOKENS = 240
# A weak model may never end an answer.
ANSWER_TOKENS = 300


class Script:
    """What one row is fed: prompts as they are, then whatever the target says, until the piece ends and the next begins."""

    def __init__(self, tokenizer: Tokenizer, speeches: list[str], rng: Random) -> None:
        self.tokenizer, self.speeches, self.rng = tokenizer, speeches, rng
        self.row: list[int] = []
        self.forced: list[int] = []
        self.left = 0

    def next_prompt(self) -> list[int]:
        if self.rng.random() < PROSE_SHARE:
            self.left = PROSE_TOKENS
            words = self.rng.choice(self.speeches).split()
            start = self.rng.randrange(max(1, len(words) - 60))
            text = " ".join(words[start : start + self.rng.randrange(10, 45)])
        else:
            self.left = ANSWER_TOKENS
            request = chats.conversation(self.rng)
            # Everything up to the first answer: a system message, if there is one, and the request.
            asked = request[: next(i for i, turn in enumerate(request) if turn.role == "model")]
            text = chats.render(asked) + "<|turn>model\n"
        return [BOS, *self.tokenizer.encode(text, add_special_tokens=False).ids]

    def advance(self, predicted: int | None) -> int:
        """The token at the next position, given what the target says about it."""
        if not self.forced:
            ended = predicted is None or self.left <= 0 or self.row[-1] in (END_OF_TURN, EOS)
            if ended:
                self.forced = self.next_prompt()[::-1]
            else:
                self.forced = [predicted]
                self.left -= 1
        self.row.append(self.forced.pop())
        return self.row[-1]


def rollout_rows(model: Target, tokenizer: Tokenizer, seed: int, rows: int, length: int = ROW + 1) -> np.ndarray:
    """(rows, length) ids."""
    speeches, _ = prose.speeches()
    scripts = [Script(tokenizer, speeches, Random(f"{seed}/{i}")) for i in range(rows)]
    decoder = Decoder(model, rows, length)
    tokens = [script.advance(None) for script in scripts]
    for _ in range(length - 1):
        predicted = decoder.step(torch.tensor(tokens)).argmax(-1).tolist()
        tokens = [script.advance(best) for script, best in zip(scripts, predicted, strict=True)]
    return np.array([script.row for script in scripts], dtype=np.int64)
