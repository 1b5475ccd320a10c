"""Where the trainer says how far it is. The command line draws it; elsewhere nobody listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """One bar at a time: ``start`` opens it, ``update`` moves it, the next ``start`` or ``say`` replaces it."""

    def start(self, what: str, total: int) -> None:
        """``what`` is done in ``total`` pieces."""

    def update(self, done: int, note: str = "") -> None:
        """So many pieces are done; ``note``: the loss, a rate."""

    def say(self, message: str) -> None:
        """A line that stays."""


class Silent:
    """Says nothing."""

    def start(self, what: str, total: int) -> None:
        pass

    def update(self, done: int, note: str = "") -> None:
        pass

    def say(self, message: str) -> None:
        pass
