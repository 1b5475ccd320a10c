"""Dask's distributed scheduler as an engine: a cluster on this machine, or one that runs already.

Progress, retries and failures are the scheduler's. A worker that dies costs the items that it was reading and the
results that it held: the scheduler has them read again elsewhere, to the same result.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from types import TracebackType
from typing import Any, TypeVar

from collapse_audit.errors import CollapseAuditError, EngineError, InputError, Problem, UsageError
from collapse_audit.version import __version__

try:
    import dask.config
    import distributed
except ImportError:
    raise UsageError('--engine dask needs Dask: pip install "collapse-audit[cluster]"') from None

T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[str], None]

_TOGETHER = 4
"""Results that one worker merges at a time: few, so that no worker holds many."""
_AHEAD = 2
"""Items for each worker that are sent at a time: one to do, one to do next."""
_GONE = (
    distributed.client.ClosedClientError,
    distributed.client.FutureCancelledError,
    distributed.core.CommClosedError,
    ConnectionError,
    TimeoutError,
)
_SECONDS = 30
"""How long a scheduler may take to answer."""


class Dask:
    """The workers of a scheduler."""

    def __init__(self, address: str = "", *, client: Any = None) -> None:
        """``address``: ``HOST:PORT`` of a scheduler; empty: a cluster of this machine's cores. ``client``: in place of
        both, one that is connected already; it is left open."""
        self._address = address
        self._client = client
        self._own = ExitStack()

    def __enter__(self) -> Dask:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._own.close()

    def fold(
        self,
        items: Sequence[T],
        read: Callable[[T], R],
        merge: Callable[[R, R], R],
        finish: Callable[[R], R],
        *,
        called: Callable[[T], str],
    ) -> R:
        """See :class:`~collapse_audit.engines.engine.Engine`; results are merged where they lie, in a tree."""
        client = self._connected()
        reading: list[Any] = []
        try:
            reading += [client.submit(read, item, pure=False) for item in items]
            merged = reading
            while len(merged) > 1:
                groups = [merged[at : at + _TOGETHER] for at in range(0, len(merged), _TOGETHER)]
                merged = [client.submit(reduce, merge, group, pure=False) for group in groups]
            return client.submit(finish, merged[0], pure=False).result()  # type: ignore[no-any-return]
        except distributed.KilledWorker as error:
            deadly = [called(item) for item, one in zip(items, reading, strict=True) if one.status == "error"]
            raise _killed(deadly, error) from error
        except _GONE as error:
            raise EngineError(f"the cluster went away while it was reading ({_said(error)}); run again") from error

    def each(
        self, items: Iterable[T], do: Callable[[T, Tell], R], tell: Tell, *, called: Callable[[T], str]
    ) -> Iterator[R]:
        """See :class:`~collapse_audit.engines.engine.Engine`. An item stays with the scheduler until it is done, so
        that another worker can do it where one dies; few are sent at a time."""
        client = self._connected()
        sent: deque[tuple[str, Any]] = deque()
        try:
            for item in items:
                # What is sent are texts, which are large: Dask would warn that they might lie elsewhere.
                with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
                    sent.append((called(item), client.submit(do, item, _unheard, pure=False)))
                if len(sent) >= _AHEAD * max(len(client.ncores()), 1):
                    yield _awaited(*sent.popleft(), tell)
            while sent:
                yield _awaited(*sent.popleft(), tell)
        except _GONE as error:
            raise EngineError(f"the cluster went away while it was measuring ({_said(error)}); run again") from error
        finally:
            for _, one in sent:
                one.cancel()

    def _connected(self) -> Any:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> Any:
        where = self._address or self._own.enter_context(local_cluster(os.cpu_count() or 1))
        try:
            client = self._own.enter_context(distributed.Client(where, timeout=_SECONDS, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(f"--engine dask://{self._address}: no scheduler answers there ({_said(error)})") from error
        check_versions(client)
        return client


def _unheard(_: str) -> None:
    """What a worker tells is not heard here."""


def _awaited(name: str, one: Any, tell: Tell) -> Any:
    """The result of ``one``, which measures ``name``. Raises EngineError where one worker after the other died."""
    tell(f"{name}: measured by the workers")
    try:
        return one.result()
    except distributed.KilledWorker as error:
        raise EngineError(
            f"one worker after the other died while it measured {name} ({_said(error)}); give them more memory, or "
            "lower max_documents"
        ) from error


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """A scheduler and so many processes on this machine, ended with the context.

    They listen on the loopback device alone, and only to each other: by certificates that are made for this cluster,
    since whoever reaches a scheduler may run code as the user. There is no dashboard. A process that died is started
    anew, however long that takes: after 15 seconds, Dask's own limit, a busy machine would be left without workers.
    """
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            security=True,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


def check_versions(client: Any) -> None:
    """Raises UsageError where a worker has another collapse-audit than this process, or none."""
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
        versions = client.run(version_here)
    except Exception as error:
        raise UsageError(
            f"the workers of the cluster cannot run collapse-audit {__version__} ({_said(error)}); install it on each"
        ) from error
    other = sorted({version for version in versions.values() if version != __version__})
    if other:
        raise UsageError(
            f"workers of the cluster run collapse-audit {', '.join(other)}, and this is {__version__}; install one "
            "version everywhere"
        )


def version_here() -> str:
    """The version of collapse-audit where this is called."""
    return __version__


def _killed(names: Sequence[str], error: Exception) -> CollapseAuditError:
    """What to raise where workers died one after the other over the same item."""
    if not names:
        return EngineError(f"workers died while they put results together ({_said(error)}); give them more memory")
    return InputError(
        Problem(
            where=name,
            found="a file over which one worker after the other died",
            expected="a file that can be read in a worker's memory",
            slug="unreadable",
        )
        for name in names
    )


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
