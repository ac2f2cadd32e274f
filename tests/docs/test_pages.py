"""Pages lead to pages that are there, and the front page stays one that is read."""

from __future__ import annotations

import re

import pytest
from pages import PAGES, ROOT, anchors, links, text_of

README_LINES = 120
# Machines that are had for minutes, and folders that only one checkout has beside it.
CIRCUMSTANCES = re.compile(r"\blent\b|stages? of minutes|\.\./shared|beside the checkout")


def test_every_page_is_looked_at():
    assert {"README.md", "CONTRIBUTING.md", "docs/index.md", "eval/mini/README.md", "benchmarks/README.md"} <= set(
        PAGES
    )


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    lost = []
    for path, anchor in links(page):
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        if not target.exists():
            lost.append(path)
        elif anchor and anchor not in anchors(str(target.relative_to(ROOT))):
            lost.append(f"{path}#{anchor}")
    assert lost == []


def test_index_lists_every_page_of_docs():
    listed = {path for path, _ in links("docs/index.md")}
    there = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert there - listed == set()


def test_readme_is_short_and_shows_a_picture():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).stat().st_size < 300_000


def test_readme_holds_the_command_that_ci_runs():
    """As .ci/run cuts it out: the first bash block below the mark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- test command -->\n```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert "python -m pytest" in block.group(1)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_pages_say_nothing_of_one_machines_circumstances(page):
    assert CIRCUMSTANCES.findall(text_of(page)) == []


def test_programs_say_nothing_of_one_machines_circumstances():
    rooms = ("soundcodec_llmcodec", "eval", "experiments", "benchmarks", "examples", "tests")
    programs = [path for room in rooms for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".sh", ".yaml")]
    assert len(programs) > 300
    words_of = {path.name: CIRCUMSTANCES.findall(path.read_text(encoding="utf-8")) for path in programs}
    assert {name for name, words in words_of.items() if words} == {"test_pages.py"}


def test_anchors_are_those_of_github(tmp_path, monkeypatch):
    monkeypatch.setattr("pages.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(
        "# A `b.py`: c, d\n## [E](f.md) g-h\n## E g-h\n```\n# no\n```\n", encoding="utf-8"
    )
    assert anchors("page.md") == {"a-bpy-c-d", "e-g-h", "e-g-h-1"}
