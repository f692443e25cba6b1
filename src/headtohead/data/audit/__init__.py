"""What is in a folder of images before any of them is used: every file opened, findings, duplicates, leaks."""
