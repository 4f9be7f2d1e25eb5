"""A request a line on stdin, an answer a line on stdout, both JSON; ../peer.mjs holds the other end."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable


def milliseconds_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def timed(repeat: int, run: Callable[[], object]) -> list[float]:
    """Milliseconds of each of `repeat` calls."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(milliseconds_since(start))
    return times


def serve(handlers: dict[str, Callable[[dict], dict]]) -> None:
    """Answers until stdin ends. Whatever libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request["op"]](request)
        except Exception as error:  # noqa: BLE001 - the report of a peer that fails is a result
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
