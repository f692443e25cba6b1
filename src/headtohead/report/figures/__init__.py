"""The figures of a run: each a function of plain numbers and a language; `run` draws all of them from a run folder."""

from headtohead.report.figures.run import draw_budget, draw_comparison, draw_one_sided, svg_figures

__all__ = ["draw_budget", "draw_comparison", "draw_one_sided", "svg_figures"]
