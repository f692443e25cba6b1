"""Images decoded once to the size that training needs, in a memory-mapped store keyed by the SHA-256 of their files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from headtohead.core.array_store import Store
from headtohead.core.cache import BOUND, PIXELS, bound, cache_folder
from headtohead.core.errors import BadData
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import say, track
from headtohead.images.decode import DECODING, Pixels, codecs, decode, digest, shrink
from headtohead.images.folder import Sample

SHARD_BYTES = 32_000_000  # decoded pixels held in memory while the store is filled


@dataclass(frozen=True)
class ImageFiles:
    """A sequence of images that are decoded at each access. Raises BadData for a missing or changed file."""

    root: Path
    samples: list[Sample]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Pixels:
        sample = self.samples[i]
        path = self.root / sample.file
        try:
            content = path.read_bytes()
        except OSError as error:
            what = f"An image of this run cannot be read: {error.strerror}"
            raise BadData(what, where=str(path), fix="restore the file, or start a new run with --out") from error
        if digest(content) != sample.digest:
            what, fix = "An image has changed since the run began.", "restore the file, or start a new run with --out"
            raise BadData(what, where=str(path), fix=fix)
        return decode(content)[0]


def chunks(files: ImageFiles, size: int) -> Iterator[ImageFiles]:
    """Split `files` into consecutive parts of at most `size` images."""
    for start in range(0, len(files), size):
        yield ImageFiles(files.root, files.samples[start : start + size])


@dataclass(frozen=True)
class DecodedImages:
    """A sequence of uncropped images, aspect kept, with a short side of at most `short_side` px.

    None is held in memory: pixels come from the memory map; images missing in the store are decoded at each access.
    """

    files: ImageFiles
    short_side: int
    stored: list[Pixels | None]

    def __len__(self) -> int:
        return len(self.files)

    def subset(self, chosen: Sequence[int]) -> "DecodedImages":
        """The images with these indices."""
        files = ImageFiles(self.files.root, [self.files.samples[i] for i in chosen])
        return DecodedImages(files, self.short_side, [self.stored[i] for i in chosen])

    def __getitem__(self, i: int) -> Pixels:
        pixels = self.stored[i]
        return shrink(self.files[i], self.short_side) if pixels is None else pixels


def transform(short_side: int) -> str:
    """The name of a store: everything that pixels depend on besides the file."""
    return "-".join([f"v{DECODING}", f"short{short_side}", f"pillow{version('pillow')}", *codecs()])


def decoded(files: ImageFiles, short_side: int, label: str) -> DecodedImages:
    """`files` at a short side of at most `short_side` px; images missing in the store are decoded and added to it."""
    store = Store(cache_folder(PIXELS) / transform(short_side), bound())
    digests = [sample.digest for sample in files.samples]
    stored = store.find(digests)
    missing = {digest: i for i, digest in enumerate(digests) if digest not in stored}
    for shard in shards(files, short_side, missing, label):
        added = store.add(shard)
        if not added:
            break
        stored |= added
    if num_unstored := sum(digest not in stored for digest in digests):
        say(f"  {num_unstored} of {len(files)} images do not fit into the cache ({BOUND}): each use decodes them again")
    return DecodedImages(files, short_side, [stored.get(digest) for digest in digests])


def shards(files: ImageFiles, short_side: int, missing: dict[str, int], label: str) -> Iterator[dict[str, Pixels]]:
    """The `missing` images (digest -> index in `files`), decoded, in groups of about SHARD_BYTES."""
    if not missing:
        return
    images = prefetch(lambda i: shrink(files[i], short_side), missing.values(), os.cpu_count() or 1)
    shard: dict[str, Pixels] = {}
    size = 0
    for key, pixels in zip(missing, track(images, label, len(missing)), strict=True):
        shard[key] = pixels
        size += pixels.nbytes
        if size >= SHARD_BYTES:
            yield shard
            shard.clear()  # not a new dict, since the caller still holds this one
            size = 0
    if shard:
        yield shard
