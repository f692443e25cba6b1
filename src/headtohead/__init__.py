"""headtohead: a small CNN from scratch against a linear probe on a frozen ViT-Tiny, on your images."""

__version__ = "0.2.0.dev0"
