"""Every block of the documentation is run by a test or says why it is not; its links and names exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from doc_blocks import CODE, PAGES, ROOT, Block, blocks_of, named

import medseg

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
for package in medseg.__all__:
    getattr(medseg, package)  # libraries below start a process when they are imported, which no quick test may do


def test_pages_and_blocks_are_found() -> None:
    assert len(PAGES) >= 15
    assert len([block for block in BLOCKS if block.language in CODE]) >= 60


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_block_is_overlooked(page: Path) -> None:
    assert page.read_text().count("```") == 2 * len(blocks_of(page))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.language in (*CODE, "text", "yaml"), "name the language: bash, python, or text for what is no command"
    assert not block.note or block.reason or block.test, f"neither 'not run: ...' nor 'run by: ...': {block.note}"
    if block.test:
        file, _, name = block.test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"there is no {block.test}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_names_exist(page: Path) -> None:
    """Files of the project and names in its packages that stand in backticks."""
    words = set(re.findall(r"`([\w./]+)`", page.read_text()))
    files = [
        word for word in words if re.match(r"(medseg|tests|scripts|bundles|configs|docs)/(?!NAME)[\w/.]+\.\w+$", word)
    ]
    homes = [ROOT, page.parents[1], *(ROOT / "bundles").glob("*_segmentation")]
    assert [file for file in files if not any((home / file).exists() for home in homes)] == []
    assert [word for word in words if re.match(r"medseg(\.\w+)+$", word) and not _exists(word)] == []


def _exists(name: str) -> bool:
    parts = name.split(".")
    found: object = import_module(parts[0])
    for count, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            try:
                import_module(".".join(parts[:count]))
            except ModuleNotFoundError:
                return False
        found = getattr(found, part)
    return True
