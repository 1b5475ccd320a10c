"""Several processes, one a GPU, started by ``accelerate launch``: who is who. One process is the ordinary case."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all. Files are written by the first one."""

    index: int = 0
    count: int = 1
    _state: Any = field(default=None, repr=False)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.index == 0

    def wait(self) -> None:
        """Until every process has come here."""
        if self._state is not None:
            self._state.wait_for_everyone()


def find_ranks() -> Ranks:
    """Joins the group of processes where there is one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks()
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return Ranks(state.process_index, state.num_processes, state)
