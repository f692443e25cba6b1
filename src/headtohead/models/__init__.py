"""The models: a small CNN, and frozen pretrained backbones."""
