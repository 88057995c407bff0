"""The table of how often intervals hold."""

from benchmarks import intervals


def test_the_table_has_a_row_for_each_setting():
    setting = intervals.Setting("weak", 30, 2, 2.5, 1.8, 4)
    heading, rule, row = intervals.lines((setting,))
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| weak | 30 | 2 | ")
    assert all(0 <= float(cell) <= 100 for cell in row.split("|")[4:-1])
