"""The images of a run: the index, groups, split, export, few-shot subsets, batches."""
