"""All that a run is: what is trained on what, how, and how it is searched."""

import dataclasses
from typing import Any

import jax
import optax
from flax import nnx

from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.models import parameters
from animclip_jax.models.parameters import graph_definition
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.runs import tracker
from animclip_jax.sharding import MeshConfig
from animclip_jax.training import ema, lora
from animclip_jax.training.lora import LoraConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig, is_frozen, make_optimizer
from animclip_jax.words import require_at_least
from input_pipeline.examples import BatchConfig

CHOSEN_ON_TEST = (
    "a step that is chosen on the test makes its score worthless; name other videos, or set "
    "validation.every=0"
)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """A run, as `settings.training` makes it of a configuration.

    source: `kind:location`, pictures or videos to train on. init_from: a run or weights to begin
    with, or ""; init_towers_from: those whose towers alone are taken, or "". save_every, keep:
    steps between checkpoints, and how many of them stay. log_every, validate_every: steps; 0
    validates never. log_to: the tracker that gets the logged numbers too, or "". validation: what
    the best step is chosen by. settings: the whole configuration by name, as JSON has it: what a
    run's folder is known by.

    Raises:
      ValueError: a number is too small, the batch does not fit the losses, validation looks at the
        videos of the test, or the tracker is not installed.
    """

    model: RetrieverConfig
    batches: BatchConfig
    source: str
    optimizer: OptimizerConfig
    lora: LoraConfig
    loss: LossConfig
    mesh: MeshConfig
    steps: int
    microbatch: int
    init_from: str
    init_towers_from: str
    save_every: int
    keep: int
    log_every: int
    log_to: str
    evaluation: EvaluationConfig
    validation: EvaluationConfig | None
    validate_every: int
    settings: dict[str, Any] = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        require_at_least(0, {"steps": self.steps, "microbatch": self.microbatch})
        begun = {"optimizer.warmup_steps": self.optimizer.warmup_steps}
        require_at_least(0, begun | {"validation.every": self.validate_every})
        kept = {"checkpoint.every": self.save_every, "checkpoint.keep": self.keep}
        require_at_least(1, kept | {"log_every": self.log_every})
        tracker.require(self.log_to)
        self.loss.check_batch(self.batches.batch_size)
        if self.validation is not None and self.validation.source == self.evaluation.source:
            raise ValueError(
                f"validation.source is data.eval, {self.evaluation.source}: {CHOSEN_ON_TEST}"
            )

    @property
    def seed(self) -> int:
        return self.batches.seed

    @property
    def cache_dir(self) -> str:
        """Where sources keep what they draw or prepare."""
        return self.evaluation.cache_dir

    def check_parameters(self) -> None:
        """Raises ValueError where `frozen` or `targets` match no parameter; builds no array."""
        params = nnx.to_pure_dict(parameters.abstract(self.model)[1])
        params = jax.eval_shape(lambda params: lora.draw(self.lora, params, 0), params)
        self._frozen(params)
        # With adapters `frozen` is that of the towers, too.
        if own := self.settings.get("optimizer", {}).get("frozen"):
            is_frozen(dataclasses.replace(self.optimizer, frozen=own), params)

    def make_optimizer(self) -> optax.GradientTransformation:
        """The optimizer, with its schedule over all steps."""
        return make_optimizer(self.optimizer, self.steps)

    def begin_average(self, params: dict) -> dict | None:
        """What the moving average of the parameters begins as; None where none is kept."""
        return ema.begin(params, self._frozen(params)) if self.optimizer.average_decay else None

    def _frozen(self, params: dict) -> dict | None:
        return is_frozen(self.optimizer, params) if self.optimizer.frozen else None

    def step_arguments(self, params: dict) -> dict[str, Any]:
        """What `step.compile_train_step` takes beside the mesh and the state."""
        return {
            "graphdef": graph_definition(self.model),
            "optimizer": self.make_optimizer(),
            "loss": self.loss,
            "image_size": self.model.clip.image_size,
            "seed": self.seed,
            "microbatch": self.microbatch,
            "frozen": self._frozen(params),
            "average_decay": self.optimizer.average_decay,
            "attention": self.model.clip.attention,
            "max_logit_scale": self.model.clip.towers.max_logit_scale,
            "tells_motion": self.batches.tells_motion,
        }
