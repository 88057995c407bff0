"""What is said of the drawn world is counted in its scenes."""

from benchmarks import drawn_world, siblings
from input_pipeline.drawn.captions import captions, holds, write
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


def test_telling_captions_are_true_of_their_video_and_false_of_its_sibling():
    told = siblings.telling_captions("val", 80, 3)
    assert len(told) > 30
    for row, index, sibling, differs in told:
        assert row // 3 == index and scene("val", index).sibling == sibling
        assert scene("val", index).differs == differs
        caption = write(scene("val", index), 3)[row % 3]
        assert caption.text == captions(scene("val", index), 3)[row % 3]
        assert all(holds(fact, scene("val", index)) for fact in caption.facts)
        assert not all(holds(fact, scene("val", sibling)) for fact in caption.facts)
