"""The one training loop, and its checkpoints, logs and diagnostics."""
