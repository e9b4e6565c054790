"""Tables of benchmarks/README.md are those of the results beside it."""

from pathlib import Path

import tables

README = Path(tables.__file__).parent / "README.md"


def test_every_marked_table_is_that_of_its_results():
    text = README.read_text()
    marked = [name for _, name, _ in tables.MARKED.findall(text)]
    assert len(marked) == len(set(marked)) >= 7
    assert tables.updated(text) == text


def test_another_figure_is_another_table():
    """A row that is edited by hand does not stay."""
    text = README.read_text()
    edited = text.replace("| plain GAN | 8.0", "| plain GAN | 7.9")
    assert edited != text
    assert tables.updated(edited) == text
