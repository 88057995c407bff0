"""A text query's work by plain PyTorch, which `benchmarks.query` measures ours beside."""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.video_index.shards import Rows

# Tokens of a caption that are re-ranked: those of most sentences, padded.
TOKENS = 16


class Attention(nn.Module):
    """Queries of x, keys and values of memory."""

    def __init__(self, width: int, memory_width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width, 2 * width)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        def split(y: torch.Tensor) -> torch.Tensor:
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        key, value = self.key_value(memory).chunk(2, dim=-1)
        mixed = F.scaled_dot_product_attention(
            split(self.query(x)), split(key), split(value), attn_mask=mask
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """As our `CrossBlock`."""

    def __init__(self, config: RerankerConfig):
        super().__init__()
        width = config.width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.self_attention = Attention(width, width, config.heads)
        self.cross_attention = Attention(width, config.code_width, config.heads)
        self.up, self.down = nn.Linear(width, config.mlp_width), nn.Linear(config.mlp_width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        asked = self.norms[0](x)
        x = x + self.self_attention(asked, asked, mask)
        x = x + self.cross_attention(self.norms[1](x), code)
        up = self.up(self.norms[2](x))
        return x + self.down(up * torch.sigmoid(1.702 * up))


class Reranker(nn.Module):
    """As our `Reranker`."""

    def __init__(self, text_width: int, config: RerankerConfig):
        super().__init__()
        self.text_projection = nn.Linear(text_width, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.evidence = Attention(config.width, config.code_width, config.heads)
        self.norm_final, self.norm_evidence = (nn.LayerNorm(config.width) for _ in range(2))
        self.head, self.head_out = (
            nn.Linear(2 * config.width, config.width),
            nn.Linear(config.width, 1),
        )

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        x = self.text_projection(hidden)
        for block in self.blocks:
            x = block(x, mask[:, None, None], code)
        asked = self.norm_final(x)
        agreement = asked * self.norm_evidence(self.evidence(asked, code))
        weight = mask[..., None].float()
        mean = (agreement * weight).sum(1) / weight.sum(1)
        ends = agreement[torch.arange(len(mask)), mask.sum(1) - 1]
        return self.head_out(F.gelu(self.head(torch.cat([mean, ends], dim=-1))))[:, 0]


class Peer:
    """One query after the other, the gallery's embeddings in memory and its codes mapped."""

    def __init__(self, clip: ClipConfig, config: RerankerConfig, gallery: Rows, k: int):
        text = clip.text
        sizes = CLIPTextConfig(
            vocab_size=clip.vocab_size,
            hidden_size=text.width,
            intermediate_size=text.mlp_width,
            num_hidden_layers=text.layers,
            num_attention_heads=text.heads,
            max_position_embeddings=clip.context_length,
            projection_dim=clip.embed_dim,
            hidden_act=clip.activation,
        )
        self.text = CLIPTextModelWithProjection(sizes).eval()
        self.reranker = Reranker(text.width, config).eval()
        assert gallery.code is not None
        self.code = [np.asarray(part) for part in gallery.code]
        self.k = k
        self.embedding = torch.tensor(gallery.embedding)
        self.tokens = torch.randint(1, clip.vocab_size, (1, clip.context_length))
        self.mask = torch.arange(TOKENS)[None] < TOKENS - 7

    @torch.inference_mode()
    def __call__(self) -> dict[str, float]:
        """Milliseconds of each stage."""
        laps = [time.perf_counter()]
        found = self.text(input_ids=self.tokens)
        query = F.normalize(found.text_embeds, dim=-1)
        laps.append(time.perf_counter())
        best = torch.topk(query @ self.embedding.T, self.k)
        laps.append(time.perf_counter())
        rows = best.indices[0].numpy()
        values, scales = (torch.from_numpy(part[rows]) for part in self.code)
        code = values.float() * scales[..., None].float()
        pairs = len(rows)
        hidden = found.last_hidden_state[:, :TOKENS].expand(pairs, -1, -1)
        fused = self.reranker(hidden, self.mask.expand(pairs, -1), code) + 100 * best.values[0]
        fused.argsort(descending=True).numpy()
        laps.append(time.perf_counter())
        stages = zip(("encode", "coarse", "rerank"), laps, laps[1:], strict=False)
        return {name: 1000 * (end - began) for name, began, end in stages}
