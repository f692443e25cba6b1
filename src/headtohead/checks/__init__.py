"""The sanity gate before training: `run_check` on everything in `CHECKS`."""
