"""What is said of the drawn world is counted in its scenes."""

from benchmarks import drawn_world
from input_pipeline.drawn.captions import holds, write
from input_pipeline.drawn.scene import scene


def test_a_gallery_of_one_pair_is_told_apart_by_its_captions(capsys):
    assert drawn_world.main(["--split", "val", "--count", "2"]) == 0
    said = capsys.readouterr().out
    assert "val: 2 scenes, 6 captions" in said
    true_of = [
        sum(all(holds(fact, scene("val", other)) for fact in caption.facts) for other in (0, 1))
        for index in (0, 1)
        for caption in write(scene("val", index), 3)
    ]
    assert f"all captions: 6; each true of {sum(true_of) / 6:.2f} videos" in said


def test_captions_that_name_a_motion_are_counted_apart(capsys):
    assert drawn_world.main(["--split", "val", "--count", "20"]) == 0
    said = capsys.readouterr().out
    told = [caption for index in range(20) for caption in write(scene("val", index), 3)]
    moving = sum(caption.names_motion for caption in told)
    assert f"captions that name a motion: {moving};" in said
    assert f"the other captions: {60 - moving};" in said
    paired = [at for at in map(scene, ["val"] * 20, range(20)) if at.sibling is not None]
    moved = sum(at.act is not None for at in paired)
    assert moved and f"differs in one motion: {5 * moved}%" in said
