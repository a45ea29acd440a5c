"""Collects what is wrong with a corpus, grouped by rule, and the result for each trainer."""

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .rule import IN_DATABASE, IN_ZIP
from .rules import RULES

USUAL_SIDE = 64  # in pixels: what remedies name where no image says another
MAX_FILES_SHOWN = 3  # files that a finding names
_MAX_NAME = 200  # characters of a name
_OF_FILES = re.compile(r"\bFILES\b")


def printable(name: str) -> str:
    """A name that is safe on a terminal: unprintable characters escaped, long names cut.

    Control characters, direction marks and the surrogates of undecodable bytes become \\x1b,
    \\u202e, \\udcff.
    """
    text = "".join(
        char
        if char.isprintable()
        else char.encode("ascii", "backslashreplace").decode()
        if ord(char) > 127
        else f"\\x{ord(char):02x}"
        for char in name
    )
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 3] + "..."


@dataclass
class Finding:
    """One rule that the corpus breaks, with the first files that do."""

    rule: str  # name in RULES
    remedy: str
    files: list[tuple[str, str]] = field(default_factory=list)  # (name, what was found), printable
    count: int = 0

    @property
    def severity(self) -> str:
        """error or warning."""
        return RULES[self.rule].severity

    def as_json(self) -> dict[str, Any]:
        """The finding as `check --json` prints it."""
        rule = RULES[self.rule]
        return {
            "rule": self.rule,
            "severity": rule.severity,
            "what": rule.what,
            "count": self.count,
            "files": [{"file": file, "found": found} for file, found in self.files],
            "trainer": rule.happens,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        rule = RULES[self.rule]
        lines = [f"{rule.severity} {self.rule}, {self.count:,} found: {rule.what}"]
        lines += [f"    {file}: {found}" if found else f"    {file}" for file, found in self.files]
        if self.count > len(self.files):
            lines.append(f"    and {self.count - len(self.files):,} more")
        return "\n".join([*lines, f"  trainer: {rule.happens}", f"  remedy:  {self.remedy}"])


class CheckFindings:
    """Collects findings, errors first, otherwise in the order of their first occurrence."""

    def __init__(self, path: Path, kind: Literal["folder", "zip", "database"] = "folder") -> None:
        """`path`: what commands are given to read the corpus; `kind`: how its images lie there."""
        self._path, self._kind = shlex.quote(printable_path(path)), kind
        self._by_rule: dict[str, Finding] = {}

    def add(self, rule: str, file: str, found: str = "") -> None:
        """`file`: the name of a file or member; `found`: what is there instead of what should."""
        assert rule in RULES, rule
        if rule not in self._by_rule:
            self._by_rule[rule] = Finding(rule, self._remedy(rule).replace("{path}", self._path))
        finding = self._by_rule[rule]
        finding.count += 1
        if len(finding.files) < MAX_FILES_SHOWN:
            finding.files.append((printable(file), printable(found)))

    def _remedy(self, rule: str) -> str:
        """The remedy that can be followed where the images lie."""
        remedy = RULES[rule].remedy
        if not _OF_FILES.search(remedy) or self._kind == "folder":
            return remedy
        return IN_DATABASE if self._kind == "database" else remedy + IN_ZIP

    def sorted(self, side: int = USUAL_SIDE, batch: int = 1) -> list[Finding]:
        """All findings, errors first; remedies name `side`, in pixels, and `batch`."""
        for finding in self._by_rule.values():
            filled = finding.remedy.replace("{side}", str(side)).replace("{batch}", str(batch))
            finding.remedy = filled
        return sorted(self._by_rule.values(), key=lambda one: one.severity != "error")

    @property
    def errors(self) -> int:
        """Rules of severity error that are broken."""
        return sum(one.severity == "error" for one in self._by_rule.values())


@dataclass(frozen=True)
class CheckResult:
    """The result for one trainer, or for a target without one."""

    trainer: str  # empty for the target itself
    target: str
    findings: list[Finding]
    facts: dict[str, Any]  # images, side, mode, classes, labels: what is known
    remember: list[str]  # options that are easily forgotten

    @property
    def readable(self) -> bool:
        """Whether nothing but warnings was found."""
        return all(one.severity != "error" for one in self.findings)

    @property
    def name(self) -> str:
        """The trainer, or the target where none is named."""
        return self.trainer or self.target

    def as_json(self) -> dict[str, Any]:
        """The result as `check --json` prints it."""
        return {
            "trainer": self.trainer or None,
            "target": self.target,
            "readable": self.readable,
            "facts": self.facts,
            "remember": self.remember,
            "findings": [one.as_json() for one in self.findings],
        }


def facts_line(facts: dict[str, Any]) -> str:
    """ "12 images, 64x64, RGB, PNG; 2 classes: cat (7), dog (5); labels: class folders"."""
    parts = [f"{facts['images']:,} image{'s' if facts['images'] != 1 else ''}"]
    parts += [facts[key] for key in ("size", "mode", "format") if facts.get(key)]
    line = ", ".join(parts)
    classes: dict[str, int] = facts.get("classes") or {}
    if classes:
        first = list(classes.items())[:10]
        listed = ", ".join(f"{printable(name)} ({count:,})" for name, count in first)
        more = f" and {len(classes) - 10} more" if len(classes) > 10 else ""
        one, many = ("folder", "folders") if facts.get("labels") is None else ("class", "classes")
        line += f"; {len(classes)} {many if len(classes) > 1 else one}: {listed}{more}"
    return line + (f"; labels: {facts['labels']}" if facts.get("labels") else "")


def printable_path(path: str | os.PathLike[str]) -> str:
    """A path that is safe to print, for messages."""
    return printable(os.fspath(path))
