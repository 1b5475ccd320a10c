"""Texts on a web server: read as local ones are, whatever the server does; and nothing secret is said."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from web import Web

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.corpora.named import open_named
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.files import door, stores
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.remote import fetching
from collapse_audit.reports.as_json import render


def texts(name: str, reading: Reading | None = None) -> list[str]:
    return [text for batch in open_named(name, reading=reading).batches() for text in batch["text"].to_pylist()]


def refusal(name: str) -> str:
    with pytest.raises(InputError) as refused:
        texts(name)
    return str(refused.value)


@pytest.mark.parametrize("how", ["plain", "range", "redirect", "gzip"])
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_a_file_on_a_server_is_the_file_on_disk(web: Web, folder: Path, how: str, ending: str) -> None:
    here, there = open_named(folder / f"before.{ending}"), open_named(f"{web.url}/{how}/before.{ending}")
    assert there.digest == here.digest
    assert [batch.to_pylist() for batch in there.batches()] == [batch.to_pylist() for batch in here.batches()]


@pytest.mark.parametrize("quoted", ["texte%20und%20%C3%BC.jsonl", "texte%20und%20ü.jsonl"])
def test_names_of_other_letters_are_found(web: Web, folder: Path, quoted: str) -> None:
    (folder / "texte und ü.jsonl").write_text('{"text": "a"}\n')
    assert texts(f"{web.url}/plain/{quoted}") == ["a"]


def test_what_can_be_streamed_is_never_written_to_the_disk(
    web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert len(texts(f"{web.url}/plain/before.jsonl.gz")) == 180
    with pytest.raises(InputError):
        texts(f"{web.url}/plain/before.parquet")


def test_a_copy_is_gone_when_the_file_has_been_read(web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert len(texts(f"{web.url}/plain/before.parquet")) == 180
    assert not list(tmp_path.iterdir())
    with fetching():
        for _ in range(3):
            assert len(texts(f"{web.url}/plain/before.parquet")) == 180
        assert len(list(tmp_path.rglob("*"))) == 2  # a folder, and the file in it
    assert not list(tmp_path.iterdir())
    assert len(web.asked) == 2 + 2  # two by itself; within one audit once for the digest and once for all readings


def both(web: Web, *, query: str = "") -> list[str]:
    return [f"{web.url}/plain/{name}.jsonl{query}" for name in ("before", "after")]


def test_the_command_judges_two_urls_as_it_judges_the_files(
    web: Web, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = main([*both(web), "--independent", "--no-progress"]), capsys.readouterr().out
    monkeypatch.chdir(folder)
    here = main(["before.jsonl", "after.jsonl", "--independent", "--no-progress"]), capsys.readouterr().out
    assert there[0] == here[0]
    assert there[1].splitlines()[-1] == here[1].splitlines()[-1]


def test_findings_and_digests_are_those_of_the_files(web: Web, folder: Path) -> None:
    here = audit(before=str(folder / "before.jsonl"), after=folder / "after.jsonl", independent=True)
    there = audit(before=both(web)[0], after=both(web)[1], independent=True)
    assert there.lineage["digest"] == here.lineage["digest"]
    assert [(each.code, each.value, each.p_value) for each in there.findings] == [
        (each.code, each.value, each.p_value) for each in here.findings
    ]
    assert there.lineage["name"] == f"{web.url}/plain/before.jsonl to {web.url}/plain/after.jsonl"


def test_a_url_may_be_the_baseline_and_training_data(web: Web, folder: Path) -> None:
    report = audit(generations=[folder / "after.jsonl"], baseline=both(web, query="?k=geheim")[0], independent=True)
    assert report.findings
    assert report.config["baseline"] == both(web)[0]
    assert "geheim" not in render(report)
    assert audit(data=both(web)[1], reference=both(web)[0]).findings


def test_no_report_and_no_message_holds_credentials(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [url.replace("http://", "http://user:geheim@") for url in both(web, query="?sig=geheim")]
    arguments = ["--independent", "--report", str(tmp_path / "out"), "-v", "--evidence", "texts", "--no-progress"]
    assert main([*named, *arguments]) in (0, 6)
    basic = f"Basic {base64.b64encode(b'user:geheim').decode()}"
    assert {headers["Authorization"] for _, headers in web.asked} == {basic}, "they were not used"
    broken = named[0].replace("before", "befor")
    assert main([broken, named[1]]) == 4
    assert main([*named, "--text", "answer"]) == 4  # whose message prints the command
    assert main([*named, str(tmp_path)]) == 4
    told = "".join(capsys.readouterr())
    assert "geheim" not in told
    for file in (tmp_path / "out").iterdir():
        assert "geheim" not in file.read_text("utf-8")


def test_an_argument_that_is_not_understood_is_repeated_without_credentials(
    web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--nonsense={both(web, query='?sig=geheim')[0]}"])
    assert ended.value.code == 4
    assert "geheim" not in capsys.readouterr().err


REFUSED = {
    "plain/nothing.jsonl": ("no file there", "missing-file"),
    "status/403/a.jsonl": ("a place that does not let us in", "remote-denied"),
    "status/401/a.jsonl": ("a place that does not let us in", "remote-denied"),
    "status/503/a.jsonl": ("the answer 503 of 127.0.0.1", "remote-unreadable"),
    "short/before.jsonl": ("ends before its end", "remote-unreadable"),
    "cut/before.jsonl": ("a gzip answer that ends too early", "remote-unreadable"),
    "brotli/before.jsonl": ("an answer packed by 'br'", "remote-unreadable"),
    "around/before.jsonl": ("more than 5 redirects", "remote-redirect"),
    "twice/before.jsonl": ("other bytes than when it was read for its digest", "remote-changed"),
    "plain/*.jsonl": ("a web server does not list its files", "no-match"),
    "plain/before": ("the name", "unknown-format"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_goes_wrong_is_one_message_with_a_slug(web: Web, path: str) -> None:
    found, slug = REFUSED[path]
    told = refusal(f"{web.url.replace('http://', 'http://u:geheim@')}/{path}?sig=geheim")
    assert told.startswith(f"{web.url}/{path}: found ")
    assert found in told
    assert told.endswith(f"[{slug}]")
    assert "geheim" not in told


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_a_connection_that_is_lost_at_the_second_reading_is_said_so(web: Web, ending: str) -> None:
    assert "a file that ends before its end" in refusal(f"{web.url}/dies/before.{ending}")


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.zst", "parquet"])
def test_a_packed_file_that_changed_is_said_so(web: Web, ending: str) -> None:
    assert "[remote-changed]" in refusal(f"{web.url}/twice/before.{ending}")


def test_nobody_listening_is_one_message() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert f"no connection to 127.0.0.1:{port}" in refusal(f"http://127.0.0.1:{port}/a.jsonl")


def test_a_server_that_says_nothing_is_not_waited_for_without_end(web: Web, limited: pytest.MonkeyPatch) -> None:
    limited.setenv(door.VARIABLE, "silence=1")
    limited.setattr(web, "seconds", 3.0)
    assert "a server that says nothing (waited 1 s)" in refusal(f"{web.url}/slow/before.jsonl")
    assert "COLLAPSE_AUDIT_LIMITS=silence=NUMBER" in refusal(f"{web.url}/slow/before.jsonl")
    assert "sends less than a kilobyte a second" in refusal(f"{web.url}/drip/before.jsonl")


def test_a_file_without_end_is_ended(web: Web, limited: pytest.MonkeyPatch) -> None:
    limited.setenv(door.VARIABLE, "remote=1e6")
    told = refusal(f"{web.url}/endless/before.jsonl")
    assert "a file elsewhere of more bytes than 1,000,000" in told
    assert "[limit-exceeded]" in told


def test_what_was_packed_to_unpack_without_end_is_ended(web: Web, limited: pytest.MonkeyPatch) -> None:
    bomb = web.folder / "bomb.jsonl"
    bomb.write_bytes(b'{"text": "' + b"a" * 3_000_000 + b'"}\n')
    limited.setenv(door.VARIABLE, "ratio=10")
    limited.setattr("collapse_audit.lineages.files.failures.LET_UNPACK", 10**6)
    try:
        assert "packed bytes that unpack to" in refusal(f"{web.url}/gzip/bomb.jsonl")
    finally:
        bomb.unlink()


def test_limits_of_lines_and_records_hold_for_a_url_too(web: Web, limited: pytest.MonkeyPatch) -> None:
    limited.setenv(door.VARIABLE, "records=100")
    assert "more records than 100" in refusal(f"{web.url}/plain/before.jsonl")
    door.limits_of.cache_clear()
    limited.setenv(door.VARIABLE, "line=20")
    assert "a line of more bytes than 20" in refusal(f"{web.url}/plain/before.jsonl")


def test_a_redirect_is_said_in_the_report(web: Web) -> None:
    told = audit(generations=[f"{web.url}/{how}/before.jsonl" for how in ("redirect", "plain")], independent=True)
    assert f"{web.url}/redirect/before.jsonl was redirected to 127.0.0.1" in told.notes
    assert not any(f"{web.url}/plain" in note and "redirected" in note for note in told.notes)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("https://public.test/a", "http://public.test/a"),
        ("https://public.test/a", "ftp://public.test/a"),
        ("https://public.test/a", "file:///etc/passwd"),
        ("https://public.test/a", "https://127.0.0.1/a"),
        ("https://public.test/a", "https://[::1]/a"),
        ("https://public.test/a", "https://u:p@10.0.0.1:80/a"),
        ("http://public.test/a", "http://169.254.169.254/latest/meta-data"),
        ("http://public.test/a", "http://inside.test/a"),
    ],
)
def test_a_server_does_not_send_us_into_a_closed_network(
    monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    answer(monkeypatch)
    with pytest.raises(Unreadable, match="a redirect"):
        asyncio.run(stores._allow(source, target))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("http://public.test/a", "https://public.test/b"),
        ("https://public.test/a", "https://other.test/b?sig=x"),
        ("http://127.0.0.1/a", "http://10.0.0.1/b"),
        ("http://inside.test/a", "http://10.0.0.1/b"),
    ],
)
def test_other_redirects_are_followed(monkeypatch: pytest.MonkeyPatch, source: str, target: str) -> None:
    answer(monkeypatch)
    asyncio.run(stores._allow(source, target))


def answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a resolver of our own knows."""
    known = {"public.test": "93.184.216.34", "other.test": "93.184.216.35", "inside.test": "192.168.1.1"}

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known.get(host, host), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_redirect_of_a_real_server_is_held_to_the_rule(web: Web) -> None:
    web.redirects["away.jsonl"] = "ftp://127.0.0.1/a.jsonl"
    assert "[remote-redirect]" in refusal(f"{web.url}/moved/away.jsonl")


def test_a_url_that_was_made_a_path_is_asked_for_as_a_string(web: Web, folder: Path) -> None:
    with pytest.raises(InputError, match=r"a URL that was made a path; expected the URL as a string"):
        audit(before=Path(both(web)[0]), after=folder / "after.jsonl")
    assert not web.asked


def test_a_lineage_names_no_url(web: Web, tmp_path: Path) -> None:
    (tmp_path / "lineage.toml").write_text(
        f'format = 1\nname = "x"\n[reference]\ntexts = "{web.url}/plain/before.jsonl?sig=geheim"\n'
        f'[[generation]]\nindex = 0\ntexts = "{web.url}/plain/after.jsonl"\n'
        f'lm_eval = "{web.url}/plain/lm_eval.json"\nadapter = "s3://bucket/adapter"\n'
    )
    with pytest.raises(InputError) as refused:
        audit(tmp_path)
    assert str(refused.value).count("[url-in-lineage]") >= 3
    assert "geheim" not in str(refused.value)
    assert not web.asked


@pytest.mark.parametrize("setting", ["baseline", "reference"])
def test_settings_of_a_lineage_name_no_url_either(web: Web, folder: Path, tmp_path: Path, setting: str) -> None:
    for index in range(2):
        (tmp_path / f"gen_{index}.jsonl").write_bytes((folder / "before.jsonl").read_bytes())
    (tmp_path / "collapse-audit.toml").write_text(f'{setting} = "{web.url}/plain/before.jsonl"\n')
    with pytest.raises((InputError, UsageError)):
        audit(tmp_path)
    assert not web.asked


def test_without_the_libraries_the_pip_command_is_printed(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from collapse_audit.cli import main\n"
        "sys.exit(main(['https://localhost/a.jsonl', 's3://b/c.jsonl']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 4
    assert 'pip install "collapse-audit[remote]"' in done.stderr


def test_an_audit_of_local_files_imports_none_of_them(folder: Path, tmp_path: Path) -> None:
    code = (
        "import json, sys\nfrom collapse_audit.cli import main\n"
        f"main([{str(folder / 'before.jsonl')!r}, {str(folder / 'after.jsonl')!r}, '--no-progress'])\n"
        "print(json.dumps(sorted({'fsspec', 'aiohttp', 's3fs', 'asyncio', 'huggingface_hub'} & {*sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
