"""MSVD: finetuning and test, from a pretrained run. Each of the 27,763 test captions is a query.

    animclip prepare msvd:DIR --out msvd              # DIR: docs/data.md says what it holds
    animclip train --config=configs/msvd.py --workdir=runs/msvd --config.init_from=runs/pretrain

Clips are the 1,200 training videos' own frames. The last checkpoint is evaluated: no choice is made
on the test. Choose settings with --config.data.eval=folder:msvd@split=val.
Published figures are comparable where every caption is a query too; one caption a video is another
protocol. `configs/msrvtt.py` names the models that published figures exist of. A step
takes what MSR-VTT's does, of which `animclip plan` is said there: the 2,000 of them 3 minutes at
least on 8 chips of TPU v5e.
"""

from ml_collections import ConfigDict

from configs import msrvtt


def get_config(preset: str = "vit_b32") -> ConfigDict:
    """As for MSR-VTT, with fewer steps: there are fewer videos."""
    config = msrvtt.get_config(preset)
    config.data.train = "folder:msvd@split=train"
    config.data.eval = "folder:msvd@split=test"
    config.evaluation.protocol = "msvd"
    config.steps = 2000
    return config
