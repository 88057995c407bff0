"""What the numbers of a run say, in words; nothing is claimed that they do not show."""

import math
from typing import Any, NamedTuple

from animclip_jax.evaluation import metrics
from animclip_jax.evaluation.table import number
from animclip_jax.reporting.arms import Arm
from animclip_jax.words import count


class Finding(NamedTuple):
    """A comparison of two R@1.

    verdict: "above", "unclear" (above, but within the margin of error) or "not above".
    """

    verdict: str
    text: str


def percent(value: float) -> str:
    """Percent as a report writes it."""
    return f"{number(value)}%"


def margin(first: float, second: float, count: int) -> float:
    """Difference in points that two equally good models exceed in one draw of queries of twenty.

    Unpaired, so it is on the safe side: the arms answer the same queries.
    """
    return 1.96 * math.sqrt((first * (100 - first) + second * (100 - second)) / count)


def is_unclear(after: Arm, after_stage: str, before: Arm, before_stage: str) -> bool:
    """Whether a gain in text-to-video R@1 may be the choice of queries.

    Paired where both runs kept each query's rank: the 95 % interval of the gain reaches to 0 or
    below. Else by the margin.
    """
    if after.ranks is None or before.ranks is None:
        new = first_place(after.results, after_stage)
        old = first_place(before.results, before_stage)
        return new - old < margin(new, old, after.results["num_queries"])
    ours = after.ranks[f"text_to_video/{after_stage}"]
    theirs = before.ranks[f"text_to_video/{before_stage}"]
    return metrics.differences(ours, theirs, after.ranks["owner"])["R@1"]["lower"] <= 0


def first_place(results: dict[str, Any], stage: str) -> float:
    """R@1 of text to video, in percent."""
    return results["text_to_video"][stage]["R@1"]


def summary(arms: list[Arm]) -> str:
    """One sentence: what the run was and what came out. The main arm comes first in `arms`."""
    main, controls = arms[0].results, arms[1:]
    settings = arms[0].settings
    source = f" on {settings['data.train']}" if "data.train" in settings else ""
    who = f"The arm “{arms[0].name}”" if controls else "The model"
    coarse, reranked = first_place(main, "coarse"), first_place(main, "reranked")
    sentence = (
        f"{who}, trained for {count(main['steps'], 'step')}{source}, puts the right one of "
        f"{count(main['num_videos'], 'video')} first for {percent(reranked)} of "
        f"{count(main['num_queries'], 'caption')}, where chance is "
        f"{percent(main['chance']['text_to_video']['R@1'])}; "
    )
    candidates = f"re-ranking the best {count(main['rerank_k'], 'candidate')}"
    if reranked > coarse:
        sentence += f"{candidates} raised that from {percent(coarse)}"
        sentence += _doubt(arms[0], "reranked", arms[0], "coarse")
    elif reranked < coarse:
        sentence += f"{candidates} did not help: it lowered that from {percent(coarse)}"
    else:
        sentence += f"{candidates} did not change that"
    return sentence + (_against(arms) if controls else "") + "."


def _against(arms: list[Arm]) -> str:
    reached = first_place(arms[0].results, "reranked")
    below, rest = [], []
    for arm in arms[1:]:
        score = first_place(arm.results, "reranked")
        if score < reached:
            doubt = _doubt(arms[0], "reranked", arm, "reranked")
            below.append(f"“{arm.name}” ({percent(score)}{doubt})")
        else:
            rest.append(f"“{arm.name}” ({percent(score)})")
    if not rest:
        return f"; it is above {_listed(below)}"
    if not below:
        return f"; it is not above {_listed(rest, 'or')}"
    return f"; it is above {_listed(below)}, but not above {_listed(rest, 'or')}"


def _doubt(after: Arm, after_stage: str, before: Arm, before_stage: str) -> str:
    unclear = is_unclear(after, after_stage, before, before_stage)
    return ", not a significant difference" if unclear else ""


def _listed(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def findings(arms: list[Arm]) -> list[Finding]:
    """R@1 of text to video against chance, before re-ranking, and of the controls."""
    main = arms[0].results
    coarse, chance = first_place(main, "coarse"), main["chance"]["text_to_video"]["R@1"]
    low = main["text_to_video"]["coarse"]["intervals"]["R@1"][0]
    verdict = "above" if low > chance else "unclear" if coarse > chance else "not above"
    times = f", {coarse / chance:.3g} times chance" if chance else ""
    found = [Finding(verdict, f"Coarse search against chance: {percent(coarse)}{times}")]
    pairs = [("Re-ranked against coarse", arms[0], "coarse", "reranked")]
    for arm in arms[1:]:
        for stage, name in (("coarse", "coarse"), ("reranked", "re-ranked")):
            title = f"“{arms[0].name}” against “{arm.name}”, {name}"
            pairs.append((title, arm, stage, stage))
    for title, before, before_stage, stage in pairs:
        old, new = first_place(before.results, before_stage), first_place(main, stage)
        verdict = "above" if new > old else "not above"
        if new > old and is_unclear(arms[0], stage, before, before_stage):
            verdict = "unclear"
        found.append(
            Finding(verdict, f"{title}: {new:.1f}% against {old:.1f}%, {new - old:+.1f} points")
        )
    return found


def differences(main: Arm, arm: Arm) -> list[str]:
    """Settings in which an arm is not as the main one."""
    ours = main.settings | {"steps": main.results["steps"], "seed": main.results["seed"]}
    theirs = arm.settings | {"steps": arm.results["steps"], "seed": arm.results["seed"]}
    return [
        f"{name} = {theirs.get(name)} ({main.name}: {ours.get(name)})"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]
