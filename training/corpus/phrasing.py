"""The many ways in which people type the same request."""

from __future__ import annotations

from random import Random

POLITE_BEFORE = ["Please {}", "Can you {}?", "Could you {}?", "Could you please {}?", "I would like you to {}.", "Can you please {}?", "Would you {}?"]
POLITE_AFTER = ["{}, please.", "{} please"]
GREETINGS = ["Hi! {}", "Hello. {}", "Hey, {}", "Hello! {}", "Hi, {}"]


def lower_first(text: str) -> str:
    # Names and "I" keep their capital.
    head = text.split(" ", 1)[0]
    return text if head in {"I", "I'm"} or head.isupper() else text[0].lower() + text[1:]


def vary(request: str, rng: Random) -> str:
    """Rephrases an imperative or a question; what it asks for stays the same."""
    bare = request.rstrip(".?!")
    question = request.endswith("?")
    roll = rng.random()
    if roll < 0.45:
        return request
    if roll < 0.55:
        return bare
    if roll < 0.68:
        return bare.lower()
    if roll < 0.72:
        return request.lower()
    if question:
        if roll < 0.82:
            return rng.choice(GREETINGS).format(lower_first(request))
        if roll < 0.90:
            return rng.choice(["Please tell me: {}", "Tell me, {}", "Quick question: {}", "I have a question. {}", "Do you know this? {}"]).format(request)
        return rng.choice([bare + ", please?", bare + "??", "So, " + lower_first(request)])
    if roll < 0.86:
        return rng.choice(POLITE_BEFORE).format(lower_first(bare))
    if roll < 0.92:
        return rng.choice(POLITE_AFTER).format(bare)
    if roll < 0.97:
        return rng.choice(GREETINGS).format(lower_first(request))
    return bare + "!"
