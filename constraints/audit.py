"""Known advisories against the pinned packages, from a file that is kept here: no network.

    python constraints/audit.py            (make audit)

Exit 0: every advisory that touches a pin is acknowledged, with its reason. 1: one is not, or an
acknowledgement has expired or is not needed, or nobody has looked a package up. 2: the file of
advisories is missing, old or not what it should be: then nothing was audited.
"""

import argparse
import datetime
import json
import pathlib
import re
import sys

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = pathlib.Path(__file__).parent
MAX_AGE_DAYS = 180
_ADVISORY = ("id", "package", "affected", "severity", "summary", "source")


class Unusable(ValueError):
    """The audit cannot say anything."""


def pins(path):
    """{package: Version} of a constraints file.

    Raises:
      Unusable: if it is missing, empty or a line is not `name==version`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unusable(f"{path}: cannot be read ({error.strerror}).") from None
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if line:
            match = re.fullmatch(r"([\w.-]+)==([\w.!+]+)", line)
            if not match:
                raise Unusable(f"{path}, line {number}: expected name==version, found {line!r}.")
            found[canonicalize_name(match[1])] = Version(match[2])
    if not found:
        raise Unusable(f"{path}: no pins.")
    return found


def read(path, today):
    """The file of advisories, checked.

    Raises:
      Unusable: if it is missing, not as it should be, or older than `MAX_AGE_DAYS`.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        gathered = datetime.date.fromisoformat(known["gathered"])
        for advisory in known["advisories"]:
            missing = [key for key in _ADVISORY if not advisory[key]]
            if missing:
                raise KeyError(missing[0])
            advisory["affected"] = [SpecifierSet(words) for words in advisory["affected"]]
            if advisory["published"] is not None:  # where the source read gave no day
                datetime.date.fromisoformat(advisory["published"])
        for reason in known["acknowledged"].values():
            datetime.date.fromisoformat(reason["until"])
            if not reason["why"].strip():
                raise KeyError("why")
        known["looked_up"] = set(map(canonicalize_name, known["looked_up"]))
        known["not_looked_up"] = set(map(canonicalize_name, known["not_looked_up"]))
    except OSError as error:
        raise Unusable(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSpecifier) as error:
        raise Unusable(f"{path}: not a file of advisories ({error!r}).") from None
    age = (today - gathered).days
    if not 0 <= age <= MAX_AGE_DAYS:
        raise Unusable(
            f"{path}: gathered on {gathered}, {age} days ago; at most {MAX_AGE_DAYS} are allowed. "
            "Look the packages up again."
        )
    return known


def audit(packages, known, today):
    """(lines to print, number of findings that nobody has acknowledged).

    Args:
      packages: {file name: {package: Version}} of `pins`.
      known: of `read`.
      today: datetime.date.
    """
    lines, open_findings, used = [], 0, set()
    for name, versions in packages.items():
        hits = [
            advisory
            for advisory in known["advisories"]
            if (version := versions.get(canonicalize_name(advisory["package"])))
            and any(spec.contains(version, prereleases=True) for spec in advisory["affected"])
        ]
        lines.append(f"{name}: {len(versions)} packages, {len(hits)} advisories")
        for advisory in hits:
            reason = known["acknowledged"].get(advisory["id"])
            used.add(advisory["id"])
            until = reason and datetime.date.fromisoformat(reason["until"])
            good = bool(reason) and until >= today
            open_findings += not good
            state = "acknowledged" if good else f"EXPIRED {until}" if reason else "OPEN"
            package, day = advisory["package"], advisory["published"] or "no date"
            lines.append(
                f"  {state}: {advisory['id']} {package} {versions[canonicalize_name(package)]} "
                f"({advisory['severity']}, {day}): {advisory['summary']}"
            )
            lines.append(f"    {reason['why'] if reason else advisory['source']}")
        unseen = versions.keys() - known["looked_up"] - known["not_looked_up"]
        open_findings += len(unseen)
        lines += [f"  OPEN: nobody has looked {package} up" for package in sorted(unseen)]
        skipped = sorted(versions.keys() & known["not_looked_up"])
        lines.append(f"  not audited, {len(skipped)}: {', '.join(skipped)}")
    for name in sorted(known["acknowledged"].keys() - used):
        open_findings += 1
        lines.append(f"OPEN: {name} is acknowledged and touches no pin; remove it")
    return lines, open_findings


def main(argv=None, today=None):
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--advisories", type=pathlib.Path, default=HERE / "advisories.json")
    files = [HERE / "tf215.txt", HERE / "keras3.txt"]
    parser.add_argument("constraints", nargs="*", type=pathlib.Path, default=files)
    arguments = parser.parse_args(argv)
    today = today or datetime.date.today()
    try:
        packages = {path.name: pins(path) for path in arguments.constraints}
        known = read(arguments.advisories, today)
    except Unusable as error:
        print(f"NOT AUDITED: {error}", file=sys.stderr)
        return 2
    lines, open_findings = audit(packages, known, today)
    print("\n".join(lines))
    print(f"advisories of {known['gathered']} ({known['source']}); open: {open_findings}")
    return 1 if open_findings else 0


if __name__ == "__main__":
    sys.exit(main())
