"""Every image file is inspected before a run: what it is, what is odd about it, and which images are duplicates."""
