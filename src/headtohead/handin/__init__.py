"""Hand-ins of the assignment: what is in a repository, whether it agrees with itself, and a new one from a run."""
