"""How a model is evaluated: on which source, by which protocol."""

import dataclasses

from animclip_jax.evaluation.protocols import protocol_of
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.retrieval.normalization import KINDS
from animclip_jax.words import require_at_least


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What an evaluation depends on, besides the parameters.

    source: `kind:location`, the videos and captions. protocol: "" is `drawn` or `folder`, by the
    source. normalization: none, dsl or qb_norm. query_bank: the source of qb_norm's captions.
    rerank_k: candidates that are re-ranked for a query. batch_size: videos or captions that each
    device encodes at once. cache_dir: where a source keeps what it draws or prepares. seed: of the
    sample of queries.

    Raises:
      ValueError: the protocol does not search that source, the bank does not fit the
        normalization, or a number is too small.
    """

    model: RetrieverConfig
    source: str
    protocol: str
    normalization: str
    query_bank: str
    rerank_k: int
    batch_size: int
    cache_dir: str
    seed: int

    def __post_init__(self) -> None:
        protocol_of(self.protocol, self.source)
        kind, bank = self.normalization, self.query_bank
        if kind not in KINDS:
            raise ValueError(f"evaluation.normalization {kind!r}: wanted one of {', '.join(KINDS)}")
        if (kind == "qb_norm") != bool(bank) or bank == self.source:
            raise ValueError(
                f"evaluation.normalization={kind} with evaluation.query_bank={bank!r}: qb_norm, "
                "and nothing else, needs a bank of training captions, such as "
                "folder:STORE@split=1k-A-9k-train"
            )
        sizes = {"evaluation.rerank_k": self.rerank_k, "evaluation.batch_size": self.batch_size}
        require_at_least(1, sizes)
        require_at_least(0, {"seed": self.seed})
