"""From predictions on disk to numbers, with NumPy, SciPy and scikit-learn; no torch."""
