"""`animclip export SOURCE --out DIR [--format FORMAT]`: a trained model in a form that others read.

SOURCE is the folder of a run, whose best step is taken, else its newest checkpoint, or of a model,
which `animclip convert` and `animclip export --format=safetensors` write. DIR appears when what is
in it has been read again and computes what the model does.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["export", *sys.argv[1:]]))

from animclip_jax.cli.signals import stoppable
from animclip_jax.exporting import model_card, push
from animclip_jax.exporting import source as sources
from animclip_jax.exporting.formats import export, formats
from animclip_jax.files import require_new
from animclip_jax.options.export import parse

__all__ = ["export", "formats", "main"]


@stoppable("animclip export")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    try:
        require_new(options.out)
        if options.push:
            push.require_free(options.push)
        source = sources.read(options.source)
        facts = model_card.read(options.source, source, options.push, options.license)
        source = export(source, options.out, options.format, options.batch_size, facts)
    except (OSError, ValueError) as error:
        print(f"animclip export: {error}", file=sys.stderr)
        return 1
    millions = sum(value.size for value in source.params.values()) / 1e6
    print(f"{options.out}: {millions:.1f} million parameters, computes what the model does")
    if left := source.origin.get("left_out"):
        print(sources.left_out_in_words(left))
    if options.push:
        try:
            print(push.push(options.out, options.push, options.private))
        except OSError as error:
            print(f"animclip export: {error}", file=sys.stderr)
            return 1
    return 0
