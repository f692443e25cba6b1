"""Duplicates: fingerprints of images, candidate pairs by hash, and their distance after alignment."""
