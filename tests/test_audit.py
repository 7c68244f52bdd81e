"""make audit: every pin against the kept advisories, and no silent pass."""

import datetime
import importlib.util
import json
import re

import pytest

from tests.small_run import ROOT

FOLDER = ROOT / "constraints"
spec = importlib.util.spec_from_file_location("audit", FOLDER / "audit.py")
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)
TODAY = datetime.date(2026, 11, 26)


def known(**changes):
    advisory = {
        "id": "GHSA-x",
        "package": "Some_Thing",
        "affected": ["<2.0", ">=3.0rc1,<3.2"],
        "published": "2026-01-01",
        "severity": "high",
        "summary": "it burns",
        "source": "https://example.org",
    }
    return {
        "gathered": "2026-11-01",
        "source": "here",
        "looked_up": ["some-thing"],
        "not_looked_up": ["other"],
        "acknowledged": {},
        "advisories": [advisory],
    } | changes


def run(tmp_path, capsys, pins, known, today=TODAY):
    (tmp_path / "pins.txt").write_text(pins)
    (tmp_path / "a.json").write_text(known if isinstance(known, str) else json.dumps(known))
    arguments = [f"--advisories={tmp_path / 'a.json'}", str(tmp_path / "pins.txt")]
    code = audit.main(arguments, today)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.mark.parametrize(
    ("version", "code"), [("1.9", 1), ("2.0", 0), ("3.0rc1", 1), ("3.1.9", 1), ("3.2", 0)]
)
def test_an_affected_version_fails(tmp_path, capsys, version, code):
    found, text = run(tmp_path, capsys, f"# pins\nsome.thing=={version}\nother==1\n", known())
    assert found == code
    assert ("OPEN: GHSA-x Some_Thing" in text) == bool(code)
    assert "not audited, 1: other" in text


def test_an_acknowledged_one_is_listed_with_its_reason_until_its_day(tmp_path, capsys):
    reason = {"GHSA-x": {"why": "not reached", "until": "2026-12-31"}}
    code, text = run(tmp_path, capsys, "some-thing==1\n", known(acknowledged=reason))
    assert code == 0
    assert "acknowledged: GHSA-x" in text
    assert "not reached" in text
    late = datetime.date(2027, 1, 1)
    code, text = run(tmp_path, capsys, "some-thing==1\n", known(acknowledged=reason), late)
    assert code == 1
    assert "EXPIRED 2026-12-31: GHSA-x" in text
    code, text = run(tmp_path, capsys, "some-thing==2\n", known(acknowledged=reason))
    assert code == 1
    assert "touches no pin" in text


def test_a_package_that_nobody_looked_up_fails(tmp_path, capsys):
    code, text = run(tmp_path, capsys, "some-thing==2\nnew==1\n", known())
    assert code == 1
    assert "nobody has looked new up" in text


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{", "not a file of advisories"),
        ("[]", "not a file of advisories"),
        ({"gathered": "2026-11-01"}, "not a file of advisories"),
        (known(gathered="soon"), "not a file of advisories"),
        (known(advisories=[{"id": "GHSA-x"}]), "not a file of advisories"),
        (known(acknowledged={"GHSA-x": {"why": " ", "until": "2026-12-31"}}), "why"),
        (known(gathered="2026-05-01"), "209 days ago"),
        (known(gathered="2027-01-01"), "-36 days ago"),
    ],
)
def test_a_file_that_says_nothing_does_not_pass(tmp_path, capsys, broken, says):
    code, text = run(tmp_path, capsys, "some-thing==2\n", broken)
    assert code == 2
    assert "NOT AUDITED" in text
    assert says in text


def test_missing_files_do_not_pass(tmp_path, capsys):
    assert audit.main([f"--advisories={tmp_path / 'none'}"], TODAY) == 2
    assert audit.main([str(tmp_path / "none.txt")], TODAY) == 2
    for pins in ("", "some-thing>=1\n", "-e .\n"):
        code, text = run(tmp_path, capsys, pins, known())
        assert code == 2
        assert "NOT AUDITED" in text


def test_the_kept_file_covers_every_pin():
    gathered = json.loads((FOLDER / "advisories.json").read_text())["gathered"]
    assert audit.main([], datetime.date.fromisoformat(gathered)) == 0


def test_every_pin_has_hashes():
    pins = audit.pins(FOLDER / "tf215.txt")
    text = (FOLDER / "tf215.hashes.txt").read_text()
    blocks = re.findall(
        r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.M
    )
    assert {name: version for name, version, _ in blocks} == {k: str(v) for k, v in pins.items()}
    assert "".join(f"{name}=={version} \\\n{rest}" for name, version, rest in blocks) == re.sub(
        r"^#.*\n", "", text, flags=re.M
    )
