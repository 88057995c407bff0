"""The names in a run's folder: one module has them, and one page describes them."""

import re
from pathlib import Path

from animclip_jax.runs import layout

PAGE = Path(__file__).parents[2] / "docs" / "run_folder.md"


def test_the_page_has_a_row_for_each_name_and_for_no_other():
    named = [name for key, name in vars(layout).items() if key.isupper()]
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(named)
