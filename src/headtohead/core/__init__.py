"""What every room needs: errors, files, progress, device, prefetch, the cache. It knows nothing of images or models."""
