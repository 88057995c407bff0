"""Means and spreads of literal runs."""

from benchmarks import seeds


def run(r1_coarse: float, r1_reranked: float) -> dict:
    def scores(r1: float) -> dict:
        return {"R@1": r1, "R@5": 2 * r1, "R@10": 3 * r1, "MdR": 9.0, "MnR": 9.0}

    stages = {
        "coarse": scores(r1_coarse),
        "reranked": scores(r1_reranked),
        "ceiling": scores(50.0),
    }
    return {"text_to_video": stages, "video_to_text": stages}


def test_mean_spread_and_how_often_reranking_helped():
    sweeps = [
        run(4.0, 5.0) | {"arm": "animated", "controls": {"still": run(1.0, 0.5)}},
        run(6.0, 5.5) | {"arm": "animated", "controls": {"still": run(1.0, 2.5)}},
    ]
    rows = seeds.table(sweeps).splitlines()
    assert len(rows) == 2 + 2 * 2 * 3
    assert rows[2].startswith("| animated | text -> video | coarse | 5.00 ± 1.41 | 10.00 ± 2.83 |")
    assert "| 5.25 ± 0.35 |" in rows[3] and rows[3].endswith("| 1 of 2 seeds |")
    assert "| still | video -> text | re-ranked | 1.50 ± 1.41 |" in "\n".join(rows)
