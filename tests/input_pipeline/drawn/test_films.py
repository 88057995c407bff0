"""The drawn world as files."""

import numpy as np

from input_pipeline.drawn import films, raster
from input_pipeline.drawn.captions import captions
from input_pipeline.drawn.scene import scene
from input_pipeline.media.video import read_frames


def test_a_film_is_what_the_world_draws_and_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setattr(films, "SIZE", 96)
    assert films.main([str(tmp_path / "films"), "--count=2"]) == 0
    paths = sorted((tmp_path / "films").iterdir())
    drawn = [scene("test", index) for index in range(2)]
    assert [path.stem for path in paths] == [
        f"{number:03} {captions(one, 1)[0]}" for number, one in enumerate(drawn)
    ]
    found, wanted = read_frames(paths[1], 8), raster.video(drawn[1])
    assert np.abs(found.astype(int) - wanted).mean() < 6
    before = [path.stat().st_mtime_ns for path in paths]
    assert films.main([str(tmp_path / "films"), "--count=2"]) == 0
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_a_count_of_none_is_an_error(tmp_path, capsys):
    assert films.main([str(tmp_path / "films"), "--count=0"]) == 1
    assert "--count=0: wanted 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "films").exists()
