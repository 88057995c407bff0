"""Pictures that are transparent in every way a file can be, and what they show on white."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

COLOURS = [(10, 200, 30), (250, 10, 40), (0, 0, 0), (20, 60, 240)]


def rgba(height: int = 24, width: int = 36) -> np.ndarray:
    """Colours that change everywhere; their alpha takes every value from 0 to 255."""
    colour = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    alpha = np.arange(height * width).reshape(height, width) * 255 // (height * width - 1)
    return np.dstack([colour, alpha.astype(np.uint8)])


def on_white(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of uint8 [H, W, 4], exactly rounded."""
    colour, alpha = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    return np.round(colour * alpha + 255 * (1 - alpha)).astype(np.uint8)


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _indices(height: int = 24, width: int = 36) -> np.ndarray:
    return np.random.default_rng(1).integers(0, len(COLOURS), (height, width), np.uint8)


def _palette(alpha: Sequence[int]) -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(_indices()).convert("P")
    image.putpalette([value for colour in COLOURS for value in colour])
    table = np.array([(*c, a) for c, a in zip(COLOURS, alpha, strict=True)], np.uint8)
    return save(image, "PNG", transparency=bytes(alpha)), on_white(table[_indices()])


def _one_colour(mode: str) -> tuple[bytes, np.ndarray]:
    """One colour means transparent: of grey, of RGB, of 16 bits."""
    levels = _indices() * 80
    is_clear = levels == 80
    if mode == "RGB":
        pixels = np.dstack([levels, levels // 2, levels])
        encoded = save(Image.fromarray(pixels), "PNG", transparency=(80, 40, 80))
    elif mode == "I;16":
        # 80 in the upper eight bits, and another level with the same.
        wide = levels.astype(np.uint16) * 257
        wide[0, :9] = 80 * 256
        is_clear[0, :9] = False
        pixels = np.dstack([wide >> 8] * 3).astype(np.uint8)
        encoded = save(Image.fromarray(wide), "PNG", transparency=80 * 257)
    else:
        pixels = np.dstack([levels] * 3)
        encoded = save(Image.fromarray(levels), "PNG", transparency=80)
    return encoded, np.where(is_clear[..., None], np.uint8(255), pixels)


def shallow_png(depth: int, clear: int | None, grey: bool) -> tuple[bytes, np.ndarray]:
    """A PNG of fewer than 8 bits, grey or of a palette, where one level may be transparent."""
    levels = np.random.default_rng(2).integers(0, 2**depth, (24, 40), np.uint8)
    palette = np.random.default_rng(3).integers(0, 256, (2**depth, 3), np.uint8)
    bits = np.unpackbits(levels[..., None], axis=-1)[..., 8 - depth :]
    rows = np.packbits(bits.reshape(24, -1), axis=-1)
    chunks = {b"IHDR": struct.pack(">IIBBBBB", 40, 24, depth, 0 if grey else 3, 0, 0, 0)}
    if not grey:
        chunks[b"PLTE"] = palette.tobytes()
    if clear is not None:
        chunks[b"tRNS"] = struct.pack(">H", clear) if grey else b"\xff" * clear + b"\0"
    chunks[b"IDAT"] = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    encoded = b"\x89PNG\r\n\x1a\n"
    for name, data in (chunks | {b"IEND": b""}).items():
        checksum = struct.pack(">I", zlib.crc32(name + data))
        encoded += struct.pack(">I", len(data)) + name + data + checksum
    shown = np.dstack([levels * (255 // (2**depth - 1))] * 3) if grey else palette[levels]
    return encoded, np.where((levels == clear)[..., None], np.uint8(255), shown)


def gif(
    place: tuple[int, int] = (0, 0),
    size: tuple[int, int] = (24, 36),
    screen: tuple[int, int] = (24, 36),
    clear: int | None = None,
    own_colours: bool = False,
    more: bytes = b"",
) -> tuple[bytes, np.ndarray]:
    """A GIF with a frame at a place (y, x), and its pixels. more: extensions before the frame."""
    indices = _indices(*size)
    colours = COLOURS[::-1] if own_colours else COLOURS
    encoded = b"GIF89a" + struct.pack("<HHBBB", *screen[::-1], 0x81, 2, 0)
    encoded += bytes(value for colour in COLOURS for value in colour) + more
    if clear is not None:
        encoded += b"\x21\xf9\x04" + struct.pack("<BHB", 1, 0, clear) + b"\0"
    flags = 0x81 if own_colours else 0
    encoded += b"\x2c" + struct.pack("<HHHHB", place[1], place[0], *size[::-1], flags)
    if own_colours:
        encoded += bytes(value for colour in colours for value in colour)
    encoded += b"\2" + _codes(indices) + b"\0;"
    wanted = np.full((*screen, 3), 255, np.uint8)
    shown = wanted[place[0] : place[0] + size[0], place[1] : place[1] + size[1]]
    is_shown = (indices != clear) if clear is not None else np.ones(size, bool)
    shown[is_shown] = np.array(colours, np.uint8)[indices][is_shown]
    return encoded, wanted


def _codes(indices: np.ndarray) -> bytes:
    """GIF's compression, which starts anew before its codes need more than 3 bits."""
    clear, end = 4, 5
    codes = []
    for n, index in enumerate(indices.ravel().tolist()):
        codes += [clear, index] if n % 2 == 0 else [index]
    bits = "".join(f"{code:03b}"[::-1] for code in [*codes, end])
    data = bytes(int(bits[n : n + 8][::-1], 2) for n in range(0, len(bits), 8))
    parts = [data[n : n + 255] for n in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


def pictures() -> dict[str, tuple[bytes, np.ndarray]]:
    """Encoded pictures and the pixels uint8 [H, W, 3] that they show, by name."""
    image = Image.fromarray(rgba())
    grey = image.convert("LA")
    moving = image.transpose(Image.Transpose.ROTATE_180)
    comment = b"\x21\xfe\x05hello\x03you\x00"
    return {
        "png": (save(image, "PNG"), on_white(rgba())),
        "grey png": (save(grey, "PNG"), on_white(np.asarray(grey.convert("RGBA")))),
        "palette": _palette((0, 100, 200, 255)),
        "opaque palette": _palette((255, 255, 255, 255)),
        "a transparent colour": _one_colour("RGB"),
        "a transparent grey": _one_colour("L"),
        "a transparent grey of 16 bits": _one_colour("I;16"),
        "webp": (save(image, "WEBP", lossless=True, exact=True), on_white(rgba())),
        "moving webp": (
            save(image, "WEBP", lossless=True, exact=True, save_all=True, append_images=[moving]),
            on_white(rgba()),
        ),
        "gif": gif(clear=1),
        "gif with black as a colour": gif(clear=0),
        "opaque gif": gif(),
        "gif with a small frame": gif((3, 5), (11, 20)),
        "gif with a small frame, transparent": gif((3, 5), (11, 20), clear=3),
        "gif whose frame has its own colours": gif((1, 2), (20, 30), clear=2, own_colours=True),
        "gif with comments": gif(clear=1, more=2 * comment),
        **{
            f"{'grey' if grey else 'palette'} of {depth} bits, {clear} transparent":
                shallow_png(depth, clear, grey)
            for depth in (1, 2, 4) for clear in (None, 1) for grey in (False, True)
        },
    }  # fmt: skip
