"""How far apart two images are when one may be a crop, a mirrored, a lighter or a resized copy of the other.

A 64-bit hash cannot tell copies from look-alikes: among the nearest neighbours by hash of small grey images every third
is a false alarm. Here the pixels decide. One thumbnail is laid over the other by shift and scale (Gauss-Newton, as
Lucas and Kanade 1981), with a gain for contrast, an offset for brightness and a Laplacian for sharpness; what
remains is the distance. Both are seen through a slight blur, which takes away most of what JPEG and resampling add.
Everything is a product of small matrices, for many pairs at once: L @ image @ R.T samples, blurs or differentiates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headtohead.audit.duplicates.fingerprint import SIDE, Prints

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

STEPS = 3  # of Gauss-Newton
REACH = 0.06  # scale may change by this much, and the centre move by half of it: room for a crop of 4 %
GAINS = (0.6, 1.6)  # contrast of one over that of the other; beyond it is not the same picture
WORTH_ALIGNING = 0.4  # largest relative distance before alignment; of planted copies the largest was 0.38
GREY = np.array([0.299, 0.587, 0.114], np.float32)
WHITE = 250
SAME_SCALE = 1.2  # thumbnails closer than this in size are compared as they are, without resizing one to the other

_px = np.arange(SIDE)
_blur = np.exp(-0.5 * (_px[:, None] - _px) ** 2)  # a Gaussian of 1 px
_blur /= _blur.sum(axis=1, keepdims=True)
# Both images are sampled on SIDE x SIDE points, blurred, and every second of these is looked at.
BLUR = _blur[::2].astype(np.float32)  # (G, SIDE)
SLOPE = (np.gradient(_blur, axis=0)[::2] * SIDE).astype(np.float32)  # the blurred image's slope, per side
CURVE = np.gradient(np.gradient(_blur, axis=0), axis=0)[::2].astype(np.float32)
FROM_CENTRE = ((_px[::2] + 0.5) / SIDE - 0.5).astype(np.float32)  # (G,), in sides


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of B images, each in the corner of (SIDE, SIDE)."""

    rgb: Floats  # (B, 3, SIDE, SIDE), 0..255
    height: Ints  # (B,), px
    width: Ints

    @classmethod
    def of(cls, prints: Prints, mirrored: NDArray[np.bool_]) -> "Thumbnails":
        """Those with `mirrored` (B,) mirrored."""
        rgb = prints.column("thumbnail").transpose(0, 3, 1, 2).astype(np.float32)
        height, width = (prints.column(side).astype(np.int64) for side in ("height", "width"))
        for k in np.flatnonzero(mirrored):
            rgb[k, :, :, : width[k]] = rgb[k, :, :, : width[k]][..., ::-1].copy()
        return cls(rgb, height, width)

    def grey(self) -> Floats:
        """(B, 1, SIDE, SIDE) luminance."""
        return np.einsum("bchw,c->bhw", self.rgb, GREY)[:, None]

    def is_grey(self) -> NDArray[np.bool_]:
        """(B,) whether the three channels are one."""
        return np.ptp(self.rgb, axis=1).max(axis=(1, 2)) <= 2

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Thumbnails":
        return Thumbnails(self.rgb[chosen], self.height[chosen], self.width[chosen])


def _weights(at: Floats, half_width: Floats, size: Ints) -> Floats:
    """(B, SIDE, SIDE) weights of triangles of `half_width` (B,) px at `at` (B, SIDE) px of sides of `size` (B,) px."""
    at = np.clip(at, 0, size[:, None] - 1).astype(np.float32)
    weights = 1 - np.abs(at[..., None] - _px.astype(np.float32)) / half_width[:, None, None]
    weights *= _px < size[:, None, None]
    weights = np.maximum(weights, 0)
    return weights / weights.sum(axis=2, keepdims=True)


def _resizing(size: Ints, to: Ints) -> Floats:
    """(B, SIDE, SIDE) matrices that bring `size` px to `to` px, antialiased; the identity where they are equal."""
    scale = (size / to).astype(np.float32)
    return _weights((_px + 0.5) * scale[:, None] - 0.5, scale, size)


def _sampling(centre: Floats, extent: Floats, size: Ints) -> Floats:
    """(B, SIDE, SIDE) matrices of linear interpolation within a part, in shares, of a side of `size` px."""
    share = centre[:, None] + extent[:, None] * ((_px + 0.5) / SIDE - 0.5)
    return _weights(share * size[:, None] - 0.5, np.ones(len(size), np.float32), size)


def _brought(x: Thumbnails, y: Thumbnails, images: Floats) -> tuple[Floats, Ints, Ints]:
    """`images` of x, resized to the size of y where x is clearly larger; and their heights and widths."""
    height = np.where(x.height > SAME_SCALE * y.height, y.height, x.height)
    width = np.where(x.width > SAME_SCALE * y.width, y.width, x.width)
    if (height == x.height).all() and (width == x.width).all():
        return images, height, width
    vertical, horizontal = _resizing(x.height, height), _resizing(x.width, width)
    return vertical[:, None] @ images @ horizontal.transpose(0, 2, 1)[:, None], height, width


def _seen(vertical: Floats, images: Floats, horizontal: Floats) -> Floats:
    """(B, C * G * G)."""
    seen = vertical[:, None] @ images @ horizontal.transpose(0, 2, 1)[:, None]
    return seen.reshape(len(seen), -1)


def _solve(columns: list[Floats], target: Floats, counts: Floats | None = None) -> tuple[Floats, Floats]:
    """Least squares of `target` (B, P) by `columns` (B, P), where it counts: coefficients (B, K), fit (B, P)."""
    design = np.stack(columns, axis=2)
    transposed = design.transpose(0, 2, 1)
    if counts is not None:
        transposed = transposed * counts[:, None]
    # A touch of ridge: an image without content has no slope.
    normal = transposed @ design + 1e-2 * np.eye(len(columns), dtype=np.float32)
    coefficients = np.linalg.solve(normal, transposed @ target[..., None])
    return coefficients[..., 0], (design @ coefficients)[..., 0]


@dataclass(frozen=True)
class Apart:
    """Distances of B pairs after alignment."""

    levels: Floats  # (B,) RMSE in grey levels of 0..255, at the lower of the two contrasts
    relative: Floats  # (B,) RMSE over the standard deviation of the image


def _unexplained(columns: list[Floats], target: Floats) -> Floats:
    """(B,) RMSE that offset, gain and the like leave, over the contrast; infinite where no copy has such a gain."""
    # What is white may have been made so: it is not fitted, and a fit beyond white or black is as good as that.
    coefficients, fit = _solve(columns, target, np.where(target < WHITE, 1, 0.01).astype(np.float32))
    rest = np.sqrt(((target - np.clip(fit, 0, 255)) ** 2).mean(axis=1)) / np.maximum(target.std(axis=1), 1)
    gain = coefficients[:, 1]
    return np.where((gain < GAINS[0]) | (gain > GAINS[1]), np.inf, rest)


def _apart(laid: Floats, target: Floats, curved: Floats) -> Apart:
    """Either explained by the other, whichever goes better: a blown-out copy cannot explain its original."""
    one = np.ones_like(laid)
    relative = np.minimum(_unexplained([one, laid, curved], target), _unexplained([one, target], laid))
    return Apart(relative * np.minimum(target.std(axis=1), laid.std(axis=1)), relative)


def distances(x: Thumbnails, y: Thumbnails, parts: Floats) -> Apart:
    """Distances of y from x, of which `parts` (B, 4), shares (top, left, bottom, right), is the first guess.

    Pairs that are far apart at the first guess keep that distance; the others are aligned.
    """
    found = _distances(x, y, parts, steps=0)
    near = found.relative < WORTH_ALIGNING
    if near.any():
        closer = _distances(x[near], y[near], parts[near], steps=STEPS)
        found.levels[near], found.relative[near] = closer.levels, closer.relative
    return found


def colours_apart(x: Thumbnails, y: Thumbnails) -> Floats:
    """(B,) largest difference of the mean R, G and B, each less the luminance; 0 where either image is grey."""
    tints = [of.rgb.sum(axis=(2, 3)) / (of.height * of.width)[:, None] for of in (x, y)]
    apart = np.abs(np.subtract(*(tint - (tint @ GREY)[:, None] for tint in tints))).max(axis=1)
    return np.where(x.is_grey() | y.is_grey(), 0, apart).astype(np.float32)


def _distances(x: Thumbnails, y: Thumbnails, parts: Floats, steps: int) -> Apart:
    """The smallest distances met in `steps` of Gauss-Newton; `cy`, `sy`: centre and extent of the part, in sides."""
    grey, height, width = _brought(x, y, x.grey())
    other, other_height, other_width = _brought(y, x, y.grey())
    whole, half = np.ones(len(parts), np.float32), np.full(len(parts), 0.5, np.float32)
    up = BLUR @ _sampling(half, whole, other_height)
    along = BLUR @ _sampling(half, whole, other_width)
    target = _seen(up, other, along)
    cy, cx = (parts[:, 0] + parts[:, 2]) / 2, (parts[:, 1] + parts[:, 3]) / 2
    sy, sx = parts[:, 2] - parts[:, 0], parts[:, 3] - parts[:, 1]
    from_y = np.repeat(FROM_CENTRE, len(FROM_CENTRE))
    from_x = np.tile(FROM_CENTRE, len(FROM_CENTRE))
    best = Apart(np.full(len(parts), np.inf, np.float32), np.full(len(parts), np.inf, np.float32))
    for step in range(steps + 1):
        vertical, horizontal = _sampling(cy, sy, height), _sampling(cx, sx, width)
        v, h = BLUR @ vertical, BLUR @ horizontal
        laid = _seen(v, grey, h)
        now = _apart(laid, target, _seen(CURVE @ vertical, grey, h) + _seen(v, grey, CURVE @ horizontal))
        better = now.relative < best.relative
        best.levels[better], best.relative[better] = now.levels[better], now.relative[better]
        if step == steps:
            break
        down, right = _seen(SLOPE @ vertical, grey, h), _seen(v, grey, SLOPE @ horizontal)
        moves, _ = _solve([np.ones_like(laid), laid, down, from_y * down, right, from_x * right], target)
        # The slopes carry the gain; a gain near zero says that there is nothing to align.
        moves = moves[:, 2:] / np.where(np.abs(moves[:, 1:2]) > 0.2, moves[:, 1:2], np.inf)
        cy, cx = (np.clip(c + moves[:, k], 0.5 - REACH / 2, 0.5 + REACH / 2) for c, k in ((cy, 0), (cx, 2)))
        sy, sx = (np.clip(s * (1 + moves[:, k]), 1 - REACH, 1 + REACH) for s, k in ((sy, 1), (sx, 3)))
    return best
