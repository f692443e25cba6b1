"""Public data sets: downloaded, verified, unpacked, written as a folder of images."""
