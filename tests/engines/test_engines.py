"""The same report, to the byte, from one process, from two workers, from eight, and from a cluster that lost one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest
from clusters import Dying, bytes_of, cluster, write_packed, write_parquet, write_shards

from collapse_audit import audit
from collapse_audit.api import prepare
from collapse_audit.cli import main
from collapse_audit.engines.engine import Engine, Local, address_of, engine_of
from collapse_audit.engines.on_dask import Dask, check_versions
from collapse_audit.errors import EngineError, InputError, UsageError

MOST = 150
"""Documents that are drawn: fewer than there are."""

Records = list[list[dict[str, Any]]]
Writer = Callable[[Path, Records], Path]


def records(seed: int, *, files: int = 5, each: int = 80, vocabulary: int = 200) -> Records:
    """Files of documents with labels and ids; one in twenty is empty, and one in ten a copy."""
    rng = random.Random(seed)
    made: Records = []
    for file in range(files):
        made.append([])
        for row in range(each):
            words = [f"w{min(int(rng.expovariate(0.02)), vocabulary)}" for _ in range(rng.randint(8, 30))]
            text = "" if row % 20 == 7 else "the same text again" if row % 10 == 3 else " ".join(words)
            made[-1].append({"id": f"{file}-{row}", "text": text, "label": rng.choice("aaaabbc")})
    return made


@pytest.fixture(scope="module")
def two() -> Iterator[distributed.Client]:
    with cluster(2) as client:
        yield client


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("corpora")
    return write_shards(root / "before", records(1)), write_shards(root / "after", records(2, vocabulary=60))


def report(corpora: tuple[Path, Path], engine: str | Engine) -> str:
    return bytes_of(audit(generations=list(corpora), engine=engine, max_documents=MOST, independent=True))


@pytest.fixture(scope="module")
def expected(corpora: tuple[Path, Path]) -> str:
    told = report(corpora, "local")
    assert f"{MOST} of 400 documents were drawn at random" in told
    return told


def test_two_workers_find_what_one_process_finds(
    corpora: tuple[Path, Path], expected: str, two: distributed.Client
) -> None:
    assert report(corpora, Dask(client=two)) == expected


@pytest.mark.slow
def test_eight_workers_find_what_one_process_finds(corpora: tuple[Path, Path], expected: str) -> None:
    with cluster(8) as client:
        assert report(corpora, Dask(client=client)) == expected


def test_a_cluster_that_loses_a_worker_while_it_reads_finds_what_one_process_finds(
    corpora: tuple[Path, Path], expected: str, two: distributed.Client, tmp_path: Path
) -> None:
    assert report(corpora, Dying(two, tmp_path / "marks", times=2)) == expected
    assert len(list((tmp_path / "marks").iterdir())) == 2, "nobody died"


def test_a_cluster_that_loses_a_worker_while_it_measures_finds_what_one_process_finds(
    corpora: tuple[Path, Path], expected: str, two: distributed.Client, tmp_path: Path
) -> None:
    assert report(corpora, Dying(two, tmp_path / "marks", times=2, reading=False)) == expected
    assert len(list((tmp_path / "marks").iterdir())) == 2, "nobody died"


def test_a_comparison_over_which_every_worker_dies_is_an_error_and_no_verdict(
    corpora: tuple[Path, Path], two: distributed.Client, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="one worker after the other died while it measured generation-1"):
        report(corpora, Dying(two, tmp_path / "marks", times=99, reading=False))


def test_comparisons_are_measured_by_the_workers(
    corpora: tuple[Path, Path], expected: str, two: distributed.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing measured in this process, the report is the same."""
    monkeypatch.setattr("collapse_audit.run.question.measured_by", lambda *_: pytest.fail("measured here"))
    assert report(corpora, Dask(client=two)) == expected


def test_what_is_told_while_workers_measure(
    corpora: tuple[Path, Path], two: distributed.Client, tmp_path: Path
) -> None:
    """Each generation, before it is waited for."""
    told: list[str] = []
    engine = Dask(client=two)
    again = write_shards(tmp_path / "again", records(3))
    prepared = prepare(generations=[*corpora, again], engine=engine, max_documents=MOST, independent=True)
    prepared.run(engine=engine, progress=told.append)
    assert list(dict.fromkeys(line for line in told if "workers" in line)) == [
        "generation-1: measured by the workers",
        "generation-2: measured by the workers",
    ]


@pytest.mark.parametrize(
    ("settings", "stop_at_first"),
    [
        pytest.param({}, True, id="to the first failure"),
        pytest.param({"alpha": 0.0004}, False, id="what hangs on its p-value is measured again"),
        pytest.param({"gate_trend": True}, False, id="trends gate"),
    ],
)
def test_three_generations_are_found_alike(
    tmp_path: Path, two: distributed.Client, settings: dict[str, Any], stop_at_first: bool
) -> None:
    generations = [
        write_shards(tmp_path / f"gen_{k}", records(k, vocabulary=words)) for k, words in enumerate((200, 60, 20, 8))
    ]

    def told(engine: Engine) -> str:
        prepared = prepare(generations=generations, engine=engine, independent=True, **settings)
        return bytes_of(prepared.run(engine=engine, stop_at_first=stop_at_first))

    assert told(Dask(client=two)) == told(Local())


PROBE = """
from collapse_audit import probe

@probe(name="commas", unit="points", worse="higher", margin=0.1, because="ours")
def commas(pair):
    return pair.mean_rise(lambda text: float("," in text))
"""


def test_a_probe_of_the_users_own_is_asked_here(
    corpora: tuple[Path, Path], two: distributed.Client, tmp_path: Path
) -> None:
    """Workers do not have the user's file."""
    (tmp_path / "probes.py").write_text(PROBE, encoding="utf-8")
    settings = {"max_documents": MOST, "independent": True, "probe_files": [tmp_path / "probes.py"]}
    told = [bytes_of(audit(generations=list(corpora), engine=e, **settings)) for e in ("local", Dask(client=two))]
    assert told[0] == told[1]
    assert '"commas"' in told[0]


@pytest.mark.parametrize("write", [write_packed, write_parquet])
def test_how_files_are_packed_changes_nothing_but_their_digests(
    tmp_path: Path, two: distributed.Client, write: Writer
) -> None:
    corpora = write(tmp_path / "before", records(1)), write(tmp_path / "after", records(2, vocabulary=60))
    assert report(corpora, Dask(client=two)) == report(corpora, "local")


def test_a_lineage_of_folders_is_read_by_workers_too(tmp_path: Path, two: distributed.Client) -> None:
    for index in range(2):
        write_parquet(tmp_path / f"gen_{index}", records(index))
        for file in (tmp_path / f"gen_{index}").iterdir():
            file.rename(file.with_name(file.name.replace("part", "texts")))
    told = [bytes_of(audit(tmp_path, engine=engine, max_documents=MOST)) for engine in ("local", Dask(client=two))]
    assert told[0] == told[1]


def test_texts_in_memory_stay_here(two: distributed.Client) -> None:
    sides = {name: [f"{name} {row % 7} {row}" for row in range(100)] for name in ("before", "after")}
    assert bytes_of(audit(**sides, engine=Dask(client=two))) == bytes_of(audit(**sides))


def refusal(corpora: tuple[Path, Path], engine: str | Engine) -> str:
    with pytest.raises(InputError) as refused:
        report(corpora, engine)
    return str(refused.value)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "broken JSON": lambda file: file.write_text(file.read_text() + '{"text": \n'),
    "a text that is a number": lambda file: file.write_text('{"text": 4}\n' * 30 + file.read_text()),
    "bad UTF-8": lambda file: file.write_bytes(file.read_bytes() + b'{"text": "\xe4"}\n'),
    "a line beyond the limit": lambda file: file.write_text(json.dumps({"text": "x" * 2**24})),
    "an id that another file has": lambda file: file.write_text('{"id": "0-5", "text": "again"}\n'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_poisoned_file_is_refused_by_its_name_as_in_one_process(
    tmp_path: Path, two: distributed.Client, damage: str
) -> None:
    before = write_shards(tmp_path / "before", records(1))
    after = write_shards(tmp_path / "after", records(2))
    for name in ("part-001.jsonl", "part-003.jsonl"):
        DAMAGES[damage](after / name)
    told = refusal((before, after), "local")
    assert refusal((before, after), Dask(client=two)) == told
    assert "part-001.jsonl" in told or damage == "an id that another file has"


def test_limits_that_the_user_raises_hold_in_workers_too(
    tmp_path: Path, two: distributed.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collapse_audit.lineages.files import door

    before, after = (write_shards(tmp_path / name, records(number)) for number, name in enumerate(("before", "after")))
    monkeypatch.setenv(door.VARIABLE, "line=50")
    door.limits_of.cache_clear()
    try:
        assert "a line of more bytes than 50" in refusal((before, after), Dask(client=two))
    finally:
        monkeypatch.undo()
        door.limits_of.cache_clear()


def test_a_file_over_which_every_worker_dies_is_refused_by_its_name(
    corpora: tuple[Path, Path], two: distributed.Client, tmp_path: Path
) -> None:
    told = refusal(corpora, Dying(two, tmp_path / "marks", times=99))
    assert "before/part-002.jsonl: found a file over which one worker after the other died" in told


def test_the_engine_is_chosen_on_the_command_line(
    corpora: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*map(str, corpora), "--set", f"max_documents={MOST}", "--independent", "--no-progress"]
    with distributed.LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        here, there = (
            (main([*arguments, "--engine", engine]), capsys.readouterr().out)
            for engine in ("local", f"dask://{address}")
        )
    assert here == there
    assert here[0] in (1, 6)


@pytest.mark.parametrize("name", ["spark", "dask:4", "dask://", "dask://host", "dask://:1", "dask://host:port"])
def test_an_engine_that_there_is_not_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="--engine"), engine_of(name):
        pass


def test_addresses_are_those_of_schedulers() -> None:
    assert address_of("dask") == ""
    assert address_of("dask://10.0.0.7:8786") == "10.0.0.7:8786"
    assert address_of("dask://[::1]:8786") == "[::1]:8786"


def test_a_scheduler_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collapse_audit.engines.on_dask._SECONDS", 0.5)
    with pytest.raises(UsageError, match="no scheduler answers there"), engine_of("dask://127.0.0.1:9") as engine:
        engine.fold([1], str, lambda one, _: one, str, called=str)


def test_workers_with_another_version_are_refused() -> None:
    class Elsewhere:
        def wait_for_workers(self, count: int, timeout: float) -> None:
            """They are there."""

        def run(self, _: object) -> dict[str, str]:
            return {"tcp://a": "0.0.1"}

    with pytest.raises(UsageError, match=r"workers of the cluster run collapse-audit 0\.0\.1"):
        check_versions(Elsewhere())


def test_a_cluster_that_goes_away_is_an_error_and_no_verdict() -> None:
    with cluster(1) as client:
        engine = Dask(client=client)
        client.cluster.close()
        with pytest.raises(EngineError, match="the cluster went away"):
            engine.fold([1, 2], str, lambda one, _: one, str, called=str)


def test_a_cluster_that_goes_away_while_it_measures_is_an_error() -> None:
    with cluster(1) as client:
        engine = Dask(client=client)
        client.cluster.close()
        with pytest.raises(EngineError, match="the cluster went away"):
            list(engine.each([1, 2], shown, told_nobody, called=str))


def test_results_come_in_the_order_of_what_was_asked_and_few_are_asked_at_a_time(two: distributed.Client) -> None:
    """Two for each of two workers are sent before the first result is taken."""
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(9):
            taken.append(number)
            yield number

    results = Dask(client=two).each(numbers(), shown, told_nobody, called=str)
    assert next(results) == "0"
    assert taken == [0, 1, 2, 3]
    assert list(results) == [*"12345678"]


def test_one_process_does_nothing_ahead() -> None:
    taken: list[int] = []
    results = Local().each(map(int, "12"), lambda number, _: taken.append(number), told_nobody, called=str)
    assert taken == []
    next(results)
    assert taken == [1]


def shown(number: int, _: object) -> str:
    """For workers to do."""
    return str(number)


def told_nobody(_: str) -> None:
    """What is done is not heard."""


def test_one_process_merges_as_it_goes() -> None:
    """3 + 4 + 5, doubled."""
    assert Local().fold([3, 4, 5], int, int.__add__, lambda total: 2 * total, called=str) == 24
