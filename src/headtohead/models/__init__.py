"""The contenders' nets: a small CNN, and frozen pretrained backbones."""
