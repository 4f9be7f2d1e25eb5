"""Rows of 513 token ids: whole conversations, and prose in what is left of a row."""

from __future__ import annotations

from random import Random

import numpy as np
from corpus import chats, prose
from tokenizers import Tokenizer

from .vocabulary import BOS, EOS

ROW = 512
# Share of rows that are prose alone; with the fillings about a fifth of all tokens is prose.
PROSE_ROWS = 0.10


class ProseStream:
    """Token ids of the speeches, read on and on; each reader gets a piece that starts with `<bos>`."""

    def __init__(self, tokenizer: Tokenizer, texts: list[str]) -> None:
        encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
        self.ids = [token for text in encoded for token in [*text.ids, EOS]]
        self.at = 0

    def take(self, count: int) -> list[int]:
        if self.at + count > len(self.ids):
            self.at = 0
        piece = self.ids[self.at : self.at + count - 1]
        self.at += count - 1
        return [BOS, *piece]


def chat_documents(tokenizer: Tokenizer, rng: Random, count: int) -> list[list[int]]:
    texts = [chats.render(chats.conversation(rng)) for _ in range(count)]
    return [[BOS, *encoded.ids] for encoded in tokenizer.encode_batch(texts, add_special_tokens=False)]


class RowMaker:
    """Endless rows, the same for the same seed."""

    def __init__(self, tokenizer: Tokenizer, seed: int, length: int = ROW + 1) -> None:
        self.tokenizer, self.length = tokenizer, length
        self.rng = Random(seed)
        texts, _ = prose.speeches()
        self.rng.shuffle(texts)
        self.prose = ProseStream(tokenizer, texts)
        self.waiting: list[list[int]] = []

    def row(self) -> list[int]:
        if self.rng.random() < PROSE_ROWS:
            return self.prose.take(self.length)
        row: list[int] = []
        while (room := self.length - len(row)) > 0:
            if len(self.waiting) < 64:
                self.waiting += chat_documents(self.tokenizer, self.rng, 256)
            # The first of the waiting ones that fits: nothing is cut, long ones come to the head of the next row.
            index = next((i for i, document in enumerate(self.waiting[:16]) if len(document) <= room), None)
            row += self.waiting.pop(index) if index is not None else self.prose.take(room)
        return row[: self.length]

    def batch(self, rows: int) -> np.ndarray:
        return np.array([self.row() for _ in range(rows)], dtype=np.int64)
