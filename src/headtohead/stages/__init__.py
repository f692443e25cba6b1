"""What the commands do: a stage is a file with the function that does it, `Job` -> files in the run folder."""
