"""From predictions on disk to numbers. Torch ends in `predict`; the rest is NumPy, SciPy and scikit-learn."""
