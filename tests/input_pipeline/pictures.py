"""Pictures of every kind that people have, and what is broken or hostile."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def gradient(height: int = 50, width: int = 70) -> np.ndarray:
    """Red grows with x, green with y, from 0 to 240, so that a colour says where it is from."""
    red = np.broadcast_to((np.arange(width) + 0.5) * 240 / width, (height, width))
    green = np.broadcast_to(((np.arange(height) + 0.5) * 240 / height)[:, None], (height, width))
    return np.stack([red, green, np.full((height, width), 120.0)], -1).round().astype(np.uint8)


def encode(mode: str, kind: str, pixels: np.ndarray | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient() if pixels is None else pixels).convert(mode).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def sixteen_bits() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient()[..., 0].astype(np.uint16) * 257).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 black pixels in 100 kB; decoded it is 1.2 GB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (20_000 // 8 + 1) * 20_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


GOOD = {
    "jpeg": encode("RGB", "JPEG", quality=95), "grey jpeg": encode("L", "JPEG", quality=95),
    "cmyk jpeg": encode("CMYK", "JPEG", quality=95),
    "progressive jpeg": encode("RGB", "JPEG", quality=95, progressive=True),
    "png": encode("RGB", "PNG"), "grey png": encode("L", "PNG"), "16-bit png": sixteen_bits(),
    "alpha png": encode("RGBA", "PNG"), "grey alpha png": encode("LA", "PNG"),
    "palette png": encode("P", "PNG"), "one-bit png": encode("1", "PNG"),
    "gif": encode("P", "GIF"), "webp": encode("RGB", "WEBP", quality=95),
    "alpha webp": encode("RGBA", "WEBP", lossless=True),
    "1 x 1": encode("RGB", "PNG", gradient()[:1, :1]),
    "1 x 1 jpeg": encode("L", "JPEG", gradient()[:1, :1]),
    "thin": encode("RGB", "JPEG", gradient(10, 1000), quality=95),
}  # fmt: skip

BROKEN = {
    "nothing": (b"", "cannot identify"), "text": (b"<html>no</html>", "cannot identify"),
    "jpeg start": (b"\xff\xd8\xff", "cannot identify"), "tiff": (encode("RGB", "TIFF"), "a TIFF"),
    "bmp": (encode("RGB", "BMP"), "a BMP picture, wanted JPEG"),
    "cut jpeg": (GOOD["jpeg"][:-400], "truncated"), "cut png": (GOOD["png"][:-60], "."),
    "cut gif": (GOOD["gif"][:-300], "."), "cut webp": (GOOD["webp"][:-60], "."),
    "head of a jpeg": (GOOD["jpeg"][:200], "."), "bomb": (bomb(), "pixels"),
    "strip": (encode("RGB", "PNG", gradient(2, 201)), "201 x 2 pixels, wanted no side over 100"),
    "wrong checksum": (GOOD["png"][:60] + b"????" + GOOD["png"][64:], "."),
    "a script": (encode("RGB", "EPS"), "EPS"),
}  # fmt: skip
