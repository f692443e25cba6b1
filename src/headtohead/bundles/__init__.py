"""What was trained, for use: folders that timm reads, predictions from them, ONNX. Importing it registers its nets."""

from headtohead.bundles import nets as nets
