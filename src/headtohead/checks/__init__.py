"""The sanity gate before training: `run_checks` over everything in `CHECKS`."""
