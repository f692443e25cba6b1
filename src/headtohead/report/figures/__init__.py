"""The figures of a run: each a function of plain numbers and a language; `run` draws all of them from a run folder."""
