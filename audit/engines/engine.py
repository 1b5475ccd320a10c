"""An engine: many files in, one result out, the same wherever and in whatever order they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Protocol, TypeVar

from collapse_audit.errors import UsageError

T = TypeVar("T")
R = TypeVar("R")

Tell = Callable[[str], None]
"""Called with a line of what is being done now."""

LOCAL, DASK = "local", "dask"


class Engine(Protocol):
    """What reads files and puts the results together, and what measures one thing after the other."""

    def fold(
        self,
        items: Sequence[T],
        read: Callable[[T], R],
        merge: Callable[[R, R], R],
        finish: Callable[[R], R],
        *,
        called: Callable[[T], str],
    ) -> R:
        """``finish`` of the merged results of ``read`` of at least one item.

        ``merge`` must be associative and commutative. ``finish`` leaves of the result what is wanted here, so that no
        more travels. ``called``: the name of an item for messages. What ``read`` raises comes through. Raises
        InputError where an item ends the processes that read it, EngineError where the engine itself is gone.
        """

    def each(
        self, items: Iterable[T], do: Callable[[T, Tell], R], tell: Tell, *, called: Callable[[T], str]
    ) -> Iterator[R]:
        """``do`` of every item, in their order; ``items`` are taken as there is room for them.

        What ``do`` tells is heard where it is done in this process; of other processes ``called``, what an item is
        called, is told. What ``do`` raises comes through. Raises EngineError where the engine is gone, or where an
        item ends the processes that it is done in.
        """


class Local:
    """This process: one item after the other."""

    def fold(
        self,
        items: Sequence[T],
        read: Callable[[T], R],
        merge: Callable[[R, R], R],
        finish: Callable[[R], R],
        *,
        called: Callable[[T], str],  # noqa: ARG002 - nothing dies here without taking this process along
    ) -> R:
        """See :class:`Engine`; no more than two results are held at once."""
        return finish(reduce(merge, map(read, items)))

    def each(
        self,
        items: Iterable[T],
        do: Callable[[T, Tell], R],
        tell: Tell,
        *,
        called: Callable[[T], str],  # noqa: ARG002 - what is done tells more
    ) -> Iterator[R]:
        """See :class:`Engine`; each item is done when its result is asked for."""
        return (do(item, tell) for item in items)


@contextmanager
def engine_of(name: str | Engine) -> Iterator[Engine]:
    """The engine called ``local``, ``dask`` (a cluster of this machine's cores) or ``dask://HOST:PORT`` (a scheduler).

    A cluster is started when it is first given work, and ended here. Raises UsageError where there is no such engine.
    """
    if not isinstance(name, str):
        yield name
    elif name == LOCAL:
        yield Local()
    elif name == DASK or name.startswith(f"{DASK}://"):
        from collapse_audit.engines.on_dask import Dask

        with Dask(address_of(name)) as engine:
            yield engine
    else:
        raise UsageError(f"--engine {name}: no such engine; allowed: local, dask or dask://HOST:PORT")


def address_of(name: str) -> str:
    """``HOST:PORT`` of ``dask://HOST:PORT``, empty of ``dask``. Raises UsageError where it is none."""
    host, colon, port = name.removeprefix(DASK).removeprefix("://").rpartition(":")
    if name != DASK and not (host and colon and port.isdecimal()):
        raise UsageError(f"--engine {name}: expected dask://HOST:PORT, such as dask://127.0.0.1:8786")
    return f"{host}{colon}{port}"
