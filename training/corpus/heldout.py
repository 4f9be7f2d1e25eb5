"""What training never sees: twenty requests in all their phrasings, and twenty speeches."""

from __future__ import annotations

import re

CHAT_PROMPTS = [
    "Tell me a story about an owl.",
    "Write a short story about a turtle.",
    "Tell me a bedtime story about a penguin.",
    "Write a story about a dragon.",
    "Make up a story about a goat.",
    "Which city is the capital of Japan?",
    "Tell me about Canada.",
    "Describe a squirrel.",
    "Explain gravity to a child.",
    "How does a volcano work?",
    "How do I learn a language?",
    "Give me some tips to grow tomatoes.",
    "Write a letter to Clara about a visit.",
    "Write an email to Oscar about an apology.",
    "Plan a day in Vienna.",
    "Describe a gardener named Felix.",
    "Write a JSON object for a person named Julia.",
    "Make a table of countries and their capitals.",
    "Write a Python function that reverses a string.",
    "Show me a JavaScript function that counts the vowels in a word.",
]

# Every fifth speech, until there are twenty.
SPEECH_STRIDE, SPEECHES = 5, 20


def normal(request: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", request.lower()).strip()


_HELD_OUT = frozenset(map(normal, CHAT_PROMPTS))


def is_held_out(request: str) -> bool:
    """True for a held-out request before any rephrasing is applied to it."""
    return normal(request) in _HELD_OUT
