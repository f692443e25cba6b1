"""Image files: folders, decoding, transforms, the decode-once store, the built-in and public data sets."""
