"""Paths in a command of bash: quoted as the place where they stand asks for."""

import re
import shlex
import string
from collections.abc import Mapping

_BEGINS = {"$(": ")", "`": "`"}  # of a command in a command, in which quotes begin anew
_COMMENT = re.compile(r"#[^\n]*")
_IN_DOUBLE = re.compile(r'[\\"$`]')


def fill_template(template: str, values: Mapping[str, object], paths: Mapping[str, str]) -> str:
    """The template with its placeholders filled in.

    values: inserted as they are. paths: quoted where the placeholder stands outside quotes,
    escaped where it stands within them, so that `{data}` and `"{data}"` are both the path.
    """
    parts, place = [], _Place()
    for text, name, _, _ in string.Formatter().parse(template):
        parts.append(text)
        place.pass_over(text)
        if name is not None and name in paths:
            parts.append(place.quoted(paths[name]))
        elif name is not None:
            parts.append(str(values[name]))
            place.before = "x"
    return "".join(parts)


class _Place:
    """What surrounds a place in a script of bash: the ends of the quotes and commands around it."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.before = " "  # the character before it

    def pass_over(self, text: str) -> None:
        at = 0
        while at < len(text):
            at += self._step(text, at)
            self.before = text[at - 1]

    def _step(self, text: str, at: int) -> int:
        """Passes over what stands at `at`; gives its length."""
        end, one = self.ends[-1] if self.ends else "", text[at]
        if one == end:
            self.ends.pop()
            return 1
        if end == "'":
            return 1
        if one == "\\":
            return min(2, len(text) - at)
        begin = next((begin for begin in _BEGINS if text.startswith(begin, at)), None)
        if begin is not None:
            self.ends.append(_BEGINS[begin])
            return len(begin)
        if one == '"' or (one == "'" and end != '"'):
            self.ends.append(one)
        elif one == "(" and end == ")":
            self.ends.append(")")
        elif one == "#" and end != '"' and self.before.isspace():
            comment = _COMMENT.match(text, at)
            return len(comment[0]) if comment else 1
        return 1

    def quoted(self, path: str) -> str:
        end = self.ends[-1] if self.ends else ""
        self.before = "x"
        if end == "'":
            return path.replace("'", "'\\''")
        if end == '"':
            return _IN_DOUBLE.sub(lambda found: "\\" + found[0], path)
        return shlex.quote(path)
