"""Whole conversations: the generators mixed by weight, rephrased, joined to turns, sometimes under a system message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .code import CODE_GENERATORS
from .facts import FACT_GENERATORS
from .heldout import is_held_out
from .phrasing import vary
from .stories import STORY_GENERATORS
from .structured import STRUCTURED_GENERATORS
from .writing import WRITING_GENERATORS

Generator = Callable[[Random], tuple[str, str]]

MIX: list[tuple[Generator, int]] = [*STORY_GENERATORS, *FACT_GENERATORS, *WRITING_GENERATORS, *STRUCTURED_GENERATORS, *CODE_GENERATORS]
_GENERATORS = [generator for generator, _ in MIX]
_WEIGHTS = [weight for _, weight in MIX]

NEUTRAL_SYSTEM = [
    "You are a helpful assistant.", "You are a friendly assistant.", "Answer the user's questions.", "Be helpful and kind.",
    "You are a helpful assistant. Keep your answers simple.", "You talk with children.", "You are a patient teacher.",
]
OPENERS = ["Sure!", "Of course!", "Gladly!", "Yes!", "Hello!", "Certainly!", "Dear friend,"]


@dataclass(frozen=True)
class Turn:
    role: str  # "system", "user" or "model"
    text: str


def exchange(rng: Random) -> tuple[str, str]:
    """One request and its answer, never a held-out one."""
    while True:
        request, answer = rng.choices(_GENERATORS, _WEIGHTS)[0](rng)
        if not is_held_out(request):
            return vary(request, rng), answer


def conversation(rng: Random) -> list[Turn]:
    """Mostly one exchange; one in eight goes on for two or three, one in ten has a system message."""
    rounds = rng.choices([1, 2, 3], [0.88, 0.09, 0.03])[0]
    turns: list[Turn] = []
    opener = ""
    roll = rng.random()
    if roll < 0.07:
        turns.append(Turn("system", rng.choice(NEUTRAL_SYSTEM)))
    elif roll < 0.10:
        opener = rng.choice(OPENERS)
        turns.append(Turn("system", rng.choice(["Begin every answer with \"{}\"", "Start each answer with \"{}\""]).format(opener)))
    for _ in range(rounds):
        request, answer = exchange(rng)
        turns += [Turn("user", request), Turn("model", f"{opener} {answer}".strip())]
    return turns


def render(turns: list[Turn]) -> str:
    """The text that the chat template makes of a finished conversation, without `<bos>`."""
    return "".join(f"<|turn>{turn.role}\n{turn.text}<turn|>\n" for turn in turns)
