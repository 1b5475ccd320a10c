"""Which probes there are: written tuples of built-in ones, and users' own from entry points or a file."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from collapse_audit.errors import ProbeError, UsageError
from collapse_audit.probes.answer_coverage import answer_coverage
from collapse_audit.probes.burstiness import burstiness
from collapse_audit.probes.concentration import concentration
from collapse_audit.probes.contamination import contamination
from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.duplicates import duplicates
from collapse_audit.probes.human_share import human_share
from collapse_audit.probes.integrity import integrity
from collapse_audit.probes.label_coverage import label_coverage
from collapse_audit.probes.label_divergence import label_divergence
from collapse_audit.probes.length import length
from collapse_audit.probes.machine_text import machine_text
from collapse_audit.probes.mode_coverage import mode_coverage
from collapse_audit.probes.numbers import numbers
from collapse_audit.probes.numeric_mean import numeric_mean
from collapse_audit.probes.numeric_modes import numeric_modes
from collapse_audit.probes.numeric_spread import numeric_spread
from collapse_audit.probes.numeric_tails import numeric_tails
from collapse_audit.probes.numeric_wasserstein import numeric_wasserstein
from collapse_audit.probes.perplexity import perplexity
from collapse_audit.probes.prompt_diversity import prompt_diversity
from collapse_audit.probes.prompts.compared import Compare
from collapse_audit.probes.rare_texts import rare_texts
from collapse_audit.probes.repetition import repetition
from collapse_audit.probes.semantic_diversity import semantic_diversity
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.tail_coverage import tail_coverage
from collapse_audit.probes.tail_mass import tail_mass
from collapse_audit.probes.task_score import task_score
from collapse_audit.probes.tell_tale import tell_tale
from collapse_audit.probes.token_divergence import token_divergence
from collapse_audit.probes.trends.followed import Follow
from collapse_audit.probes.types import Probe

BUILTIN: tuple[Probe, ...] = (
    token_divergence,
    label_divergence,
    tail_mass,
    tail_coverage,
    label_coverage,
    mode_coverage,
    repetition,
    diversity,
    prompt_diversity,
    answer_coverage,
    semantic_diversity,
    length,
    numbers,
    perplexity,
    rare_texts,
    concentration,
    task_score,
    integrity,
)
"""What is asked of a generation beside its baseline."""

NUMERIC: tuple[Probe, ...] = (numeric_mean, numeric_spread, numeric_tails, numeric_wasserstein, numeric_modes)
"""What is asked of a generation whose records hold numbers in place of texts."""

DATA: tuple[Probe, ...] = (human_share, duplicates, contamination, tell_tale, burstiness, machine_text)
"""What is asked of training data before anything is trained on them."""

Gates = dict[tuple[str, str], Gate]
"""Gates by probe and statistic."""
ENTRY_POINTS = "collapse_audit.probes"


def all_probes(files: Iterable[Path] = ()) -> tuple[Probe, ...]:
    """The built-in probes of generations, then those of installed packages, then those of ``files``.

    Names are unique, also among those of numbers (:data:`NUMERIC`) and of training data (:data:`DATA`).
    """
    probes = [*BUILTIN, *_installed()]
    for file in files:
        probes.extend(from_file(file))
    _unique((*probes, *NUMERIC, *DATA))
    return tuple(probes)


def _unique(probes: tuple[Probe, ...]) -> None:
    for field in ("name", "code"):
        taken = [getattr(probe, field) for probe in probes]
        for value in taken:
            if taken.count(value) > 1:
                raise UsageError(f"two probes have the {field} {value!r}; change that of yours")


def follows_of(probes: Iterable[Probe] = BUILTIN) -> tuple[Follow, ...]:
    """What ``probes`` follow along generations, in their order."""
    return tuple(probe.followed for probe in probes if probe.followed is not None)


def compares_of(probes: Iterable[Probe] = BUILTIN) -> tuple[tuple[str, Compare], ...]:
    """Names of ``probes``, and what they compare between lineages that answered the same prompts."""
    return tuple((probe.name, probe.compared) for probe in probes if probe.compared is not None)


def gates_of(probes: Iterable[Probe] = BUILTIN) -> Gates:
    """Every gate of ``probes`` as it declares itself."""
    return {(probe.name, gate.statistic): gate for probe in probes for gate in probe.gates}


def find(name: str, probes: Iterable[Probe]) -> Probe:
    """The probe of that name or code."""
    probes = tuple(probes)
    for probe in probes:
        if name.lower() in (probe.name.lower(), probe.code.lower()):
            return probe
    known = [probe.name for probe in probes]
    near = difflib.get_close_matches(name.lower(), [*known, *(probe.code.lower() for probe in probes)], n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise UsageError(f"no probe is called {name!r}{hint} Known: {', '.join(known)}")


def from_file(file: Path) -> tuple[Probe, ...]:
    """Run a Python file that the user named and take the probes it defines, in the order of their definition."""
    if not file.is_file():
        raise UsageError(f"--probes {file}: no such file; expected a Python file that defines probes with @probe")
    name = f"collapse_audit_user_probes_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"--probes {file}: not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file that calls sys.exit(0) must not end the audit as a pass
        raise ProbeError(f"--probes {file}: {type(error).__name__}: {error}") from error
    mine = {id(value): value for value in vars(module).values() if isinstance(value, Probe)}
    probes = tuple(
        value for value in mine.values() if all(value is not builtin for builtin in (*BUILTIN, *NUMERIC, *DATA))
    )
    if not probes:
        raise UsageError(f"--probes {file}: defines no probe; decorate a function with @collapse_audit.probe(…)")
    return probes


def _installed() -> tuple[Probe, ...]:
    probes = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            value = entry.load()
        except (Exception, SystemExit) as error:
            raise ProbeError(f"entry point {entry.name} = {entry.value}: {type(error).__name__}: {error}") from error
        if not isinstance(value, Probe):
            raise ProbeError(f"entry point {entry.name} = {entry.value} is not a probe; decorate it with @probe(…)")
        probes.append(value)
    return tuple(probes)
