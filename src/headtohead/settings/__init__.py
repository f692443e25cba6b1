"""Settings and their rules, the kinds of contenders, the file names of a run folder."""
