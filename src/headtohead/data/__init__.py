"""From a folder to batches: folder (scan) -> audit -> split -> index -> decode -> views -> batches."""
