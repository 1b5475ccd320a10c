"""What a lineage's files say of its models: adapters, digests of training texts, shares of human text, decoding.

A silently unchanged generation passes every statistic: nothing has changed. So whatever shows that a generation is not
the new model that it claims to be is gathered here as facts, from files alone; what needs the models themselves is
``collapse-lineage validate --models``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collapse_audit.lineages.checks.adapters import CONFIG, WEIGHTS, Adapter, read_adapter
from collapse_audit.lineages.checks.base_layers import BaseLayers, read_base_layers
from collapse_audit.lineages.checks.declared_share import declared_share
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.paths import locate, shown_name
from collapse_audit.lineages.files.problems import printable
from collapse_audit.lineages.model.ancestry import training_corpora
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.probes.models.model_facts import Fact

_NO_LAW = frozenset({"batch_size"})
"""Keys of a decoding that decide which random numbers meet which prompt, and not how texts are distributed."""
_SHOWN = 3
_TWIN = 1e-3
"""Two adapters whose changes of the base differ by less, as a share of the larger, are one but for rounding: bfloat16
keeps 2^-9 of a number, and errors of many numbers average out in a norm."""


class Provenance:
    """The facts of one lineage; every adapter is read once."""

    def __init__(self, lineage: Lineage) -> None:
        self.lineage = lineage
        self._adapters: dict[Path, Adapter | None] = {}
        self._layers: dict[str, BaseLayers] = {}

    def facts(self, entry: GenerationEntry) -> tuple[Fact, ...]:
        """What is known of this generation's model; nothing where only texts are at hand.

        Raises InputError where an adapter or a training file cannot be read.
        """
        decoding = _decoding(self.lineage, entry)
        facts = [] if decoding is None else [decoding]
        return (*self._of_adapter(entry), *self._of_training(entry), *facts)

    # ------------------------------------------------------------------------------------------------------- adapters

    def _of_adapter(self, entry: GenerationEntry) -> Iterator[Fact]:
        others = [
            sibling
            for sibling in self.lineage.of_seed(entry.seed)
            if sibling.adapter is not None and sibling is not entry
        ]
        adapter = self._adapter(entry)
        if adapter is None:
            if entry.adapter is not None:
                sentence = f"{self._place(entry)}/{WEIGHTS} is a git-lfs pointer and not the adapter: git lfs pull"
                yield _fact("adapter-present", None, sentence)
            elif others:
                which = ", ".join(str(sibling.index) for sibling in others)
                sentence = (
                    f"{_name(entry)} has no adapter, where generations {which} have one: its model is not at hand"
                )
                yield _fact("adapter-present", None, sentence)
            return
        where = self._place(entry)
        yield _finite(adapter, where)
        if not adapter.config:
            sentence = f"{where} has no {CONFIG}: by what its matrices are multiplied, and for which base, is not known"
            yield _fact("adapter-config", None, sentence)
        yield _changes(adapter, where)
        yield self._distinct(entry, adapter, where)
        yield self._fits(entry, adapter, where)
        yield from _recorded(entry, where)
        yield from self._same_base(entry, adapter, where)

    def _adapter(self, entry: GenerationEntry) -> Adapter | None:
        if entry.adapter is None:
            return None
        if entry.adapter not in self._adapters:
            where = f"{printable(self.lineage.root.name)}/{self._place(entry)}"
            self._adapters[entry.adapter] = read_adapter(entry.adapter, where=where)
        return self._adapters[entry.adapter]

    def _place(self, entry: GenerationEntry) -> str:
        assert entry.adapter is not None
        return printable(entry.adapter.relative_to(self.lineage.root).as_posix())

    def _distinct(self, entry: GenerationEntry, adapter: Adapter, where: str) -> Fact:
        """From every generation before it, and from those of earlier seeds: the later of two is the copy."""
        entries = self.lineage.generations
        for other in entries[: entries.index(entry)]:
            theirs = self._adapter(other)
            if theirs is None:
                continue
            if theirs.digest == adapter.digest:
                sentence = f"{where} holds the numbers of {self._place(other)}, one for one: it is no new model"
                return _fact("adapter-distinct", False, sentence, digest=adapter.digest)
            apart = adapter.distance(theirs, below=_TWIN)
            if apart is not None:
                sentence = (
                    f"{where} changes the base as {self._place(other)} does but for rounding (relative difference "
                    f"{apart:.1e}): it is no new model"
                )
                return _fact("adapter-distinct", False, sentence, digest=adapter.digest, apart=apart)
        return _fact("adapter-distinct", True, f"{where} is no earlier generation's", digest=adapter.digest)

    def _fits(self, entry: GenerationEntry, adapter: Adapter, where: str) -> Fact:
        """A and B are there, ranks agree, also with the configuration, and shapes with a base that is at hand."""
        wrong = [f"{printable(name)} stands alone, where a pair A, B is needed" for name in adapter.unpaired]
        wrong += _wrong_ranks(adapter)
        name, base = self._base_layers(entry, adapter)
        for layer, (a, b) in adapter.layers.items():
            if base is None:
                break
            weight, shape = base.shape(layer), (adapter.shapes[b][0], adapter.shapes[a][-1])
            if base.lacks(layer):
                wrong.append(f"{printable(layer)} is no layer of {name}")
            elif weight is not None and sorted(shape) != sorted(weight[:2]):
                wrong.append(f"{layer} changes {shape[0]}x{shape[1]} numbers, of {weight[0]}x{weight[-1]} in {name}")
        if wrong:
            more = "" if len(wrong) <= _SHOWN else f", and {len(wrong) - _SHOWN} more"
            sentence = f"{where} does not fit: {'; '.join(wrong[:_SHOWN])}{more}"
            return _fact("adapter-shape", False, sentence)
        looked_at = adapter.layers if base and base.whole else ()
        return _fact("adapter-shape", True, f"{where} fits {name if looked_at else 'its own configuration'}")

    def _same_base(self, entry: GenerationEntry, adapter: Adapter, where: str) -> Iterator[Fact]:
        """Base of the first generation that names one: by digest where digests are recorded, else by its name."""
        known = [
            (sibling, sibling.details.get("model", {}).get("base_digest"))
            for sibling in self.lineage.of_seed(entry.seed)
        ]
        known = [(sibling, digest) for sibling, digest in known if digest is not None]
        mine = next((digest for sibling, digest in known if sibling is entry), None)
        if mine is None:
            yield from self._same_base_name(entry, adapter, where)
        elif known[0][0] is not entry:
            first, theirs = known[0]
            if mine == theirs:
                yield _fact("base", True, f"made from the base of {_name(first)}")
            else:
                sentence = f"made from another base ({_short(mine)}) than {_name(first)} ({_short(theirs)})"
                yield _fact("base", False, sentence)

    def _same_base_name(self, entry: GenerationEntry, adapter: Adapter, where: str) -> Iterator[Fact]:
        """Noted where it differs: one base may have two names, and a chain may merge each model into the next base."""
        mine = adapter.config.get("base_model_name_or_path")
        for other in self.lineage.of_seed(entry.seed):
            earlier = self._adapter(other) if other.index < entry.index else None
            theirs = earlier.config.get("base_model_name_or_path") if earlier is not None else None
            if mine and theirs and self._resolved(mine) != self._resolved(theirs):
                sentence = (
                    f"{where}/{CONFIG} names the base {printable(str(mine))}, and {self._place(other)} was made for "
                    f"{printable(str(theirs))}: what changed may be the base"
                )
                yield _fact("base", True, sentence, noted=True)
                return

    def _resolved(self, base: object) -> str:
        """A folder of the lineage by its place, anything else by its name."""
        name = str(base)
        folder = locate(self.lineage.root, name)
        return name if isinstance(folder, Broken) or not folder.is_dir() else str(folder)

    def _base_layers(self, entry: GenerationEntry, adapter: Adapter) -> tuple[str, BaseLayers | None]:
        """The base's name and layers, where the manifest, or else the adapter, names a folder of the lineage."""
        name = entry.details.get("model", {}).get("base") or adapter.config.get("base_model_name_or_path")
        if not isinstance(name, str) or not name:
            return "", None
        path = locate(self.lineage.root, name)
        if isinstance(path, Broken) or not path.is_dir():
            return "", None
        if name not in self._layers:
            self._layers[name] = read_base_layers(path, where=name)
        return f"the base {printable(name)}", self._layers[name]

    # ------------------------------------------------------------------------------------------------- training texts

    def _of_training(self, entry: GenerationEntry) -> Iterator[Fact]:
        seen = {corpus.path for corpus in training_corpora(self.lineage, entry)}
        ancestors = [
            generation
            for generation in self.lineage.generations
            if generation.texts.path in seen and generation is not entry
        ]
        checked = 0
        for generation in (entry, *ancestors):
            for name, claimed, actual in _recorded_digests(self.lineage, generation):
                checked += 1
                if claimed != actual:
                    sentence = (
                        f"{_name(generation)} was trained on {name} with the digest {_short(claimed)}, and "
                        "that file's is "
                        f"{_short(actual)}: the chain is broken"
                    )
                    yield _fact("training-digest", False, sentence)
                    return
        if checked:
            sentence = f"{checked} recorded digests of training texts, its ancestors' included, are those of the files"
            yield _fact("training-digest", True, sentence)
        yield from declared_share(self.lineage, entry)


def _finite(adapter: Adapter, where: str) -> Fact:
    broken, total = adapter.not_finite, len(adapter.shapes)
    if not broken:
        return _fact("adapter-finite", True, f"all numbers of {where} are finite")
    sentence = f"{len(broken)} of {total} tensors of {where} hold NaN or infinity, {printable(broken[0])} among them"
    return _fact("adapter-finite", False, sentence)


def _changes(adapter: Adapter, where: str) -> Fact:
    layers, idle, beside = adapter.layers, adapter.idle, adapter.beside
    if adapter.changes_nothing:
        why, largest = "as before any training", max((adapter.changes[each] or 0.0 for each in layers), default=0.0)
        if adapter.config.get("lora_alpha") == 0:
            why = f"by lora_alpha = 0 in {CONFIG}"
        elif largest:
            why = f"or too small to change a weight (largest norm {largest:.1e})"
        sentence = f"{where} changes nothing: every product B·A is zero, {why}; its model is the base"
        return _fact("adapter-trained", False, sentence)
    others = f"{len(beside)} tensors that are no LoRA matrices ({printable(beside[0])}, …)" if beside else ""
    if len(idle) == len(layers) and adapter.unpaired:
        sentence = f"{where} holds no product B·A that is not zero: {len(adapter.unpaired)} matrices stand alone"
        return _fact("adapter-trained", False, sentence)
    if len(idle) == len(layers):
        sentence = (
            f"{where} holds {others}, and no product B·A that is not zero: whether it changes the base is not known"
        )
        known = not layers and not adapter.is_lora  # another kind of adapter, which has no such product
        return _fact("adapter-trained", True if known else None, sentence, noted=known)
    if not adapter.is_lora or not any(adapter.changes[layer] for layer in layers if layer not in idle):
        sentence = f"{where} holds matrices that are not zero; their product was not computed"
        return _fact("adapter-trained", True, sentence, noted=True)
    sentence = f"{where} changes the base: {len(layers) - len(idle)} of its products B·A are not zero"
    if idle:
        sentence = f"{where} changes the base, but not in {len(idle)} of {len(layers)} layers ({printable(idle[0])}, …)"
    return _fact("adapter-trained", True, sentence, noted=bool(idle))


def _wrong_ranks(adapter: Adapter) -> Iterator[str]:
    rank = adapter.config.get("r")
    for layer, (a, b) in adapter.layers.items():
        inner, outer = adapter.shapes[a][:1], adapter.shapes[b][1:2]
        if inner != outer:
            yield f"{printable(layer)} multiplies {list(adapter.shapes[b])} by {list(adapter.shapes[a])}"
        elif isinstance(rank, int) and not adapter.config.get("rank_pattern") and inner != (rank,):
            yield f"{printable(layer)} has rank {inner[0]}, and its configuration says {rank}"


def _recorded(entry: GenerationEntry, where: str) -> Iterator[Fact]:
    claimed = entry.details.get("model", {}).get("adapter_digest")
    if claimed is None or entry.adapter is None:
        return
    actual = file_digest(entry.adapter / WEIGHTS)
    ok = claimed == actual
    sentence = f"{where}/{WEIGHTS} has the digest that the manifest records"
    if not ok:
        sentence = f"{where}/{WEIGHTS} has the digest {_short(actual)}, and the manifest records {_short(claimed)}"
    yield _fact("adapter-digest", ok, sentence)


def _recorded_digests(lineage: Lineage, entry: GenerationEntry) -> Iterator[tuple[str, str, str]]:
    """Name, recorded and actual digest of every corpus of this lineage that ``trained_on`` has a digest of."""
    digests = {generation.texts.shown: generation.texts.digest for generation in lineage.generations}
    if lineage.reference is not None:
        digests |= dict.fromkeys(("reference", lineage.reference.shown), lineage.reference.digest)
    for source in entry.details.get("trained_on", ()):
        name = shown_name(source["corpus"])
        if "lineage" not in source and "digest" in source and name in digests:
            yield name, source["digest"], digests[name]


def _decoding(lineage: Lineage, entry: GenerationEntry) -> Fact | None:
    """Against every earlier generation of its seed; the first that was decoded otherwise is named."""
    mine = _law(entry)
    earlier = [sibling for sibling in lineage.of_seed(entry.seed) if sibling.index < entry.index]
    for other in earlier:
        theirs = _law(other)
        if mine is None and theirs is None:
            continue
        if mine is None or theirs is None:
            silent = entry if mine is None else other
            sentence = (
                f"the decoding of {_name(silent)} is not recorded, so it may be another than the other generations'"
            )
            return _fact("decoding", True, sentence, noted=True)
        keys = [key for key in sorted({*mine, *theirs}) if mine.get(key) != theirs.get(key)]
        if keys:
            changes = ", ".join(f"{printable(key)} {_value(theirs, key)} -> {_value(mine, key)}" for key in keys)
            sentence = (
                f"{_name(entry)} was decoded otherwise than {_name(other)} ({changes}): what changed in its texts may "
                "be decoding alone"
            )
            return _fact("decoding", True, sentence, noted=True)
    if mine is None or not earlier:
        return None
    return _fact("decoding", True, "decoded as the generations before it")


def _law(entry: GenerationEntry) -> dict[str, Any] | None:
    decoding = entry.details.get("decoding")
    return None if decoding is None else {key: value for key, value in decoding.items() if key not in _NO_LAW}


def _value(decoding: Mapping[str, Any], key: str) -> str:
    return printable(repr(decoding[key])) if key in decoding else "not said"


def _name(entry: GenerationEntry) -> str:
    return f"generation {entry.index}" + ("" if entry.seed is None else f" of seed {printable(entry.seed)}")


def _short(digest: object) -> str:
    return printable(str(digest).removeprefix("sha256:")[:12])


def _fact(kind: str, ok: bool | None, sentence: str, *, noted: bool = False, **details: Any) -> Fact:
    return Fact(kind=kind, ok=ok, sentence=sentence, noted=noted, details=details)
