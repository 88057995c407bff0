"""Siblings: a clip of the batch once more, backwards."""

from __future__ import annotations

from animclip_jax.animation.plan import ShotPlan
from input_pipeline.director.captions import Captions
from input_pipeline.tensorflow_on_cpu import tf


def backwards(plan: ShotPlan, picture: tf.Tensor) -> tuple[ShotPlan, tf.Tensor]:
    """The plans of the same clips with their frames in the opposite order.

    plan: with the leading axis B. picture: int32 [B, V], the one that each window sees.
    """
    T = plan.gain.shape[1]

    def turned(of_windows: tf.Tensor) -> tf.Tensor:
        """Windows that overlap a frame stay: the frame that they overlap is another."""
        return tf.concat([tf.reverse(of_windows[:, :T], [1]), of_windows[:, T:]], axis=1)

    reversed_plan = plan._replace(
        boxes=turned(plan.boxes),
        shear=turned(plan.shear),
        blur=turned(plan.blur),
        smear=-turned(plan.smear),
        at=tf.where(plan.at < T, T - 1 - plan.at, T),
        gain=tf.reverse(plan.gain, [1]),
        offset=tf.reverse(plan.offset, [1]),
        thing_boxes=tf.reverse(plan.thing_boxes, [1]),
        thing_shear=tf.reverse(plan.thing_shear, [1]),
        thing_smear=-tf.reverse(plan.thing_smear, [1]),
    )
    return reversed_plan, turned(picture)


def paired(
    clips: dict[str, tf.Tensor],
    plan: ShotPlan,
    picture: tf.Tensor,
    captions: Captions,
    sibling_of: tf.Tensor,
) -> tuple[dict[str, tf.Tensor], ShotPlan, tf.Tensor]:
    """Makes of some clips of a batch others of it backwards, with the captions for that.

    sibling_of: int32 [B], the row that each clip may be a sibling of, or its own. It becomes one
    where the other's caption says something that is then the other way round.

    Returns:
      clips, plan and picture as they are then. The clips also have their "caption", what it "said"
      along each of AXES, and their "number": of the first picture, -1 - that where they run
      backwards, int64 [B].
    """
    own = tf.range(tf.shape(sibling_of)[0])
    turns = tf.gather(captions.forwards != captions.backwards, sibling_of)
    is_sibling = (sibling_of != own) & turns
    source = tf.where(is_sibling, sibling_of, own)
    clips, plan, picture, captions = tf.nest.map_structure(
        lambda of_rows: tf.gather(of_rows, source), (clips, plan, picture, captions)
    )

    def chosen(turned: tf.Tensor, straight: tf.Tensor) -> tf.Tensor:
        axes = len(straight.shape) - 1
        return tf.where(tf.reshape(is_sibling, [-1] + [1] * axes), turned, straight)

    plan, picture = tf.nest.map_structure(chosen, backwards(plan, picture), (plan, picture))
    caption = chosen(captions.backwards, captions.forwards)
    number = clips["index"][:, 0]
    made = {
        "caption": caption,
        "said": chosen(-captions.axes, captions.axes),
        "number": chosen(-1 - number, number),
    }
    return clips | made, plan, picture
