"""Tables of README.md and benchmarks/README.md are those of the kept results."""

from pathlib import Path

import pytest
import tables

README = Path(tables.__file__).parent / "README.md"


@pytest.mark.parametrize("file", tables.FILES, ids=["benchmarks", "readme"])
def test_every_marked_table_is_that_of_its_results(file):
    text = file.read_text()
    marked = [name for _, name, _ in tables.MARKED.findall(text)]
    assert len(marked) == len(set(marked)) >= (7 if file == README else 1)
    assert tables.updated(text) == text


def test_another_figure_is_another_table():
    """A row that is edited by hand does not stay."""
    text = README.read_text()
    edited = text.replace("| plain GAN | 8.0", "| plain GAN | 7.9")
    assert edited != text
    assert tables.updated(edited) == text
