"""VATEX: finetuning and test, from a pretrained run. It has two tests, of different videos.

    animclip prepare vatex:DIR --out vatex            # DIR: docs/data.md says what it holds
    animclip train --config=configs/vatex.py --workdir=runs/vatex --config.init_from=runs/pretrain

HGR's test is the default; `--config=configs/vatex.py:test1k5` takes CLIP2Video's. Say which with
every figure. Clips are the 25,991 training videos' own frames. The last checkpoint is evaluated: no
choice is made on the test. Choose settings on @split=hgr-val, or test1k5-val for the other.
`configs/msrvtt.py` names the models that published figures exist of. A step
takes what MSR-VTT's does, of which `animclip plan` is said there: the 15,000 of them 21 minutes at
least on 8 chips of TPU v5e.
"""

from ml_collections import ConfigDict

from configs import msrvtt

# Those of the splits, and of the evaluation.
PROTOCOLS = {"hgr": "vatex-hgr", "test1k5": "vatex-1k5"}


def get_config(protocol: str = "hgr") -> ConfigDict:
    """The protocol says which videos train and test."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    config = msrvtt.get_config()
    config.data.train = f"folder:vatex@split={protocol}-train"
    config.data.eval = f"folder:vatex@split={protocol}-test"
    config.evaluation.protocol = PROTOCOLS[protocol]
    config.steps = 15_000
    return config
