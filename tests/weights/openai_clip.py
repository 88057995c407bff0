"""A torch module with the names and the computation of OpenAI's CLIP (needs the extra `parity`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.transformer import TransformerConfig


class QuickGelu(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, tower: TransformerConfig, causal: bool):
        super().__init__()
        self.attn = nn.MultiheadAttention(tower.width, tower.heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(tower.width), nn.LayerNorm(tower.width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(tower.width, tower.mlp_width))
        self.mlp.add_module("gelu", QuickGelu())
        self.mlp.add_module("c_proj", nn.Linear(tower.mlp_width, tower.width))
        self.causal = causal

    def forward(self, x: Any) -> Any:
        mask = torch.full((x.shape[0], x.shape[0]), float("-inf")).triu(1)
        y = self.ln_1(x)
        mask = mask if self.causal else None
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Tower(nn.Module):
    def __init__(self, tower: TransformerConfig, causal: bool):
        super().__init__()
        self.resblocks = nn.Sequential(*(Block(tower, causal) for _ in range(tower.layers)))

    def forward(self, x: Any) -> Any:
        return self.resblocks(x.transpose(0, 1)).transpose(0, 1)


class Visual(nn.Module):
    def __init__(self, config: ClipConfig):
        super().__init__()
        width, patch = config.vision.width, config.patch_size
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + config.grid**2, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Tower(config.vision, False)
        self.proj = nn.Parameter(torch.zeros(width, config.embed_dim))

    def forward(self, x: Any) -> Any:
        x = self.conv1(x).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(x.shape[0], 1, -1)
        x = self.ln_pre(torch.cat([first, x], 1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class OpenAiClip(nn.Module):
    def __init__(self, config: ClipConfig):
        super().__init__()
        width = config.text.width
        self.visual = Visual(config)
        self.transformer = Tower(config.text, True)
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.zeros(config.context_length, width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, config.embed_dim))
        self.logit_scale = nn.Parameter(torch.zeros(()))
        for name, size in (
            ("input_resolution", config.image_size),
            ("context_length", config.context_length),
            ("vocab_size", config.vocab_size),
        ):
            self.register_buffer(name, torch.tensor(size))

    def forward(self, image: Any, text: Any) -> tuple[Any, Any]:
        x = self.transformer(self.token_embedding(text) + self.positional_embedding)
        end = text.argmax(-1)
        x = self.ln_final(x)[torch.arange(x.shape[0]), end] @ self.text_projection
        return self.visual(image), x
