"""The fenced blocks of the documentation, and the commands in them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "bundles").glob("*/docs/*.md"))]
CODE = ("bash", "python")

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block: its page and line, its language, what it holds, and the comment right above it."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else ""

    @property
    def test(self) -> str:
        """The test that runs it elsewhere, `tests/FILE.py::NAME`; empty if there is none."""
        return self.note.removeprefix("run by: ") if self.note.startswith("run by: ") else ""

    def __str__(self) -> str:
        return f"{named(self.page)}:{self.line}"


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text[: found.start("text")].count("\n"), found["language"], found["text"], found["note"] or "")
        for found in _BLOCK.finditer(text)
    ]


def commands_of(block: Block) -> list[list[str]]:
    """The words of each command of a shell block; a line that ends in a backslash goes on."""
    return [shlex.split(line) for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]
