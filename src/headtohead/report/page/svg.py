"""Figures of matplotlib within the page: in its colours, light or dark, and with ids of their own."""

import re

from markupsafe import Markup


def embedded(svg: str, prefix: str) -> Markup:
    """The `<svg>` element of a figure, to be written into HTML. `prefix` makes its ids unique on the page.

    >>> embedded('<?xml version="1.0"?><svg width="9pt"><style>*{}</style><g id="a" style="fill: #000000"/></svg>', "f-")
    Markup('<svg><g id="f-a" style="fill: currentColor"/></svg>')
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    head, bracket, rest = svg.partition(">")
    svg = re.sub(r' (width|height)="[^"]*pt"', "", head) + bracket + rest  # as wide as the page
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    # Black is drawn in the colour of the text, and white in that of the paper.
    svg = svg.replace("#000000", "currentColor").replace("#ffffff", "var(--paper)")
    return Markup(re.sub(r"\s*\n\s*", "\n", svg))  # noqa: S704  # drawn by us; names in it are escaped by matplotlib
