"""README.md of a hub export: what a model is, what it has seen, how well it searches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax.evaluation import results as evaluations
from animclip_jax.evaluation.results import DIRECTIONS, MEASURES, RECALLS, STAGES
from animclip_jax.evaluation.table import caveats, number
from animclip_jax.exporting.source import Source
from animclip_jax.models.clip import ClipConfig
from animclip_jax.runs import layout
from animclip_jax.words import count

NAMELESS = "OWNER/NAME"
# As published; docs/weights.md. Of what begins so.
LICENSES = {
    "openai/clip-": "mit",
    "laion/CLIP-": "mit",
    "google/siglip": "apache-2.0",
    "facebook/PE-Core": "apache-2.0",
    "timm/PE-Core": "apache-2.0",
}
TAGS = ("video-retrieval", "text-to-video-retrieval", "clip", "jax", "flax")
DRAWN = "drawn:"
PAPER = "https://doi.org/10.1145/3477495.3531776"


class Facts(NamedTuple):
    """What a card says beside what is known of the model itself.

    repository: where it is to be. license: as the Hub names it, "" where nobody has said it.
    results: what results.json says of the same checkpoint, where it was evaluated.
    """

    repository: str = NAMELESS
    license: str = ""
    results: dict[str, Any] | None = None


def read(directory: Path, source: Source, repository: str | None, named: str | None) -> Facts:
    """The facts of a run's folder, or of a model's.

    Args:
      named: the license that a person gave.

    Raises:
      ValueError: results.json can't be read.
    """
    found = None
    if (directory / layout.RESULTS).is_file():
        found = evaluations.read(directory / layout.RESULTS)
        if found["steps"] != source.origin.get("steps"):
            found = None  # of another checkpoint
    return Facts(repository or NAMELESS, named or _license(bases(source)), found)


def bases(source: Source) -> list[str]:
    """The published weights that training began with, as OWNER/NAME@COMMIT."""
    return source.origin.get("base_weights", [])


def without_folders(source: str) -> str:
    """A source's name without the folders of the machine: folder:/home/me/films -> folder:films."""
    kind, colon, location = source.partition(":")
    return f"{kind}{colon}{Path(location).name}" if colon else Path(source).name


def card(source: Source, facts: Facts, obstacle: str = "") -> str:
    """The card, Markdown below a head of YAML.

    Args:
      obstacle: why transformers' tokenizer and processor do not lie beside it, "" where they do.
    """
    lines = [
        *_head(source, facts),
        *_what(source, facts),
        *_use(source, facts),
        *_training(source),
        *_results(facts.results),
        *_files(obstacle),
        *_licence(source, facts),
    ]
    return "\n".join(lines) + "\n"


def _head(source: Source, facts: Facts) -> Iterator[str]:
    yield "---"
    if facts.license:
        yield f"license: {facts.license}"
    yield "library_name: animclip-jax"
    yield "pipeline_tag: feature-extraction"
    yield "tags:"
    yield from (f"- {tag}" for tag in TAGS)
    if found := bases(source):
        yield "base_model:"
        yield from (f"- {one.partition('@')[0]}" for one in found)
    yield "---"
    yield ""


def _what(source: Source, facts: Facts) -> Iterator[str]:
    clip = source.config if isinstance(source.config, ClipConfig) else source.config.clip
    millions = sum(value.size for value in source.params.values()) / 1e6
    second = (
        "two encoders find candidates, and a re-ranker puts them in order"
        if _reranks(source)
        else "two encoders, without a re-ranker"
    )
    yield f"# {facts.repository.rpartition('/')[2]}"
    yield ""
    yield (
        f"Finds videos by a sentence: {second}. A model of AnimCLIP-JAX, which follows "
        f"[Animating Images to Transfer CLIP for Video-Text Retrieval]({PAPER}). "
        f"It has {millions:.1f} million parameters, and reads "
        f"{count(source.num_frames, 'frame')} of a video, {clip.image_size} x {clip.image_size} "
        f"pixels each, in patches of {clip.patch_size}, and captions of "
        f"{count(clip.context_length, 'token')}."
    )
    yield ""


def _use(source: Source, facts: Facts) -> Iterator[str]:
    yield "## Use it"
    yield ""
    yield "```"
    yield "pip install .  # in a clone of AnimCLIP-JAX, which is on no package index"
    yield f"animclip index VIDEOS --model {facts.repository} --out index"
    yield 'animclip search index "a dog catches a frisbee"'
    yield "animclip serve index --open"
    yield "```"
    yield ""
    yield "```python"
    yield "import animclip_jax as ac"
    yield ""
    yield f'model = ac.load("{facts.repository}")'
    yield 'texts = model.encode_text(["a dog on a beach"])  # float32 [1, E]'
    yield 'videos = model.encode_video(["beach.mp4"])'
    yield "print(texts @ videos.embedding.T)"
    if _reranks(source):
        yield 'print(model.rerank("a dog on a beach", videos))'
    yield "```"
    yield ""
    yield f"`animclip convert {facts.repository} --out DIR` makes a folder to train from."
    yield ""


def _training(source: Source) -> Iterator[str]:
    seen, steps = source.origin.get("trained_on", []), source.origin.get("steps")
    yield "## Training"
    yield ""
    for one in bases(source):
        repository, _, commit = one.partition("@")
        yield f"- Began with the weights of `{repository}`, commit `{commit}`."
    for one in seen:
        yield f"- Trained on `{without_folders(one)}`."
    if steps is not None:
        yield f"- Its weights are those after {count(steps, 'step')} of the last run."
    if not seen:
        yield "- Nothing is recorded of what it was trained on here."
    yield ""
    if seen and all(one.startswith(DRAWN) for one in seen):
        yield "**It has seen drawn scenes alone: its results on real videos are noise.**"
        yield ""


def _results(results: dict[str, Any] | None) -> Iterator[str]:
    yield "## How well it searches"
    yield ""
    if results is None:
        yield "This checkpoint was not evaluated before it was exported."
        yield ""
        return
    protocol, coverage = results["protocol"], results["coverage"]
    yield (
        f"On `{without_folders(results['dataset'])}`: {count(results['num_queries'], 'caption')} "
        f"and {count(results['num_videos'], 'video')}. Protocol `{protocol['name']}`, split "
        f"`{protocol['split']}`, {count(protocol['num_frames'], 'frame')} of a video, video to "
        f"text counts {protocol['video_to_text']}. Found {coverage['found']:,} of "
        f"{count(coverage['wanted'], 'video')}. Seed {results['seed']}. Percent, "
        "and ranks (MdR, MnR: the median and the mean rank, 1 is best); "
        "in brackets 95% intervals, by resampling videos."
    )
    yield ""
    for said in caveats(results):
        yield f"**{said}**"
        yield ""
    for direction, title in DIRECTIONS.items():
        yield f"| {title} | {' | '.join(MEASURES)} |"
        yield f"| --- |{' --- |' * len(MEASURES)}"
        for stage, name in STAGES.items():
            name += f" ({count(results['rerank_k'], 'candidate')})" if stage == "reranked" else ""
            yield f"| {name} | {' | '.join(_cells(results[direction][stage]))} |"
        chance = results["chance"][direction]
        cells = (number(chance[name]) if name in RECALLS else "" for name in MEASURES)
        yield f"| random order | {' | '.join(cells)} |"
        yield ""
    yield "The ceiling is what a perfect re-ranker would reach. In the folder of the run,"
    yield "`animclip evaluate --workdir=RUN` makes these figures again."
    yield ""


def _cells(scores: dict[str, Any]) -> Iterator[str]:
    for name in MEASURES:
        lower, upper = scores["intervals"][name]
        yield f"{scores[name]:.1f} [{lower:.1f}, {upper:.1f}]"


def _files(obstacle: str) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "`config.json` and `model.safetensors` hold the whole model, in the layout of"
    yield "AnimCLIP-JAX; `example.safetensors` holds inputs and what the model makes of them;"
    yield "`manifest.json` says how to prepare frames and captions, and has the SHA-256 of these"
    yield "files."
    if obstacle:
        yield f"Nothing here is for transformers' processor: {obstacle}."
    else:
        yield "The tokenizer and `preprocessor_config.json` are for transformers' processor. For"
        yield "transformers' own model classes, run `animclip export --format=hf`."
    yield ""


def _licence(source: Source, facts: Facts) -> Iterator[str]:
    yield "## Licence"
    yield ""
    named = f"`{facts.license}`" if facts.license else "not stated by its author"
    yield f"This model: {named}."
    for one in bases(source):
        name = one.partition("@")[0]
        found = _license([one])
        said = f"published under `{found}`" if found else "see their page"
        yield f"The weights it began with, `{name}`: {said}."
    yield ""
    yield "Made by `animclip export RUN --format=hub --out DIR`."


def _reranks(source: Source) -> bool:
    return not isinstance(source.config, ClipConfig)


def _license(begun: list[str]) -> str:
    """The one that all of these weights have, "" where it is not known or they have several."""
    found = {
        next((license for start, license in LICENSES.items() if one.startswith(start)), "")
        for one in begun
    }
    return found.pop() if len(found) == 1 else ""
