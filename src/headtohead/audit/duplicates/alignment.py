"""Distance between two images of which one may be a crop or a mirrored, lighter or resized copy of the other.

A 64-bit hash cannot tell copies from look-alikes: among the nearest neighbours by hash of small grey images, every
third is a false alarm. So the pixels decide. One thumbnail is aligned with the other by shift and scale (Gauss-Newton
as in Lucas and Kanade, 1981), with a gain for contrast, an offset for brightness and a Laplacian for sharpness; the
residual is the distance. Both are blurred slightly, which removes most of what JPEG and resampling add. All steps are
products of small matrices for many pairs at once: L @ image @ R.T samples, blurs or differentiates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headtohead.audit.duplicates.fingerprint import SIDE, Prints

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

STEPS = 3  # Gauss-Newton steps
REACH = 0.06  # largest change of the scale; the centre may move by half of it: enough for a crop of 4 %
GAINS = (0.6, 1.6)  # ratio of the contrasts; outside of this range it is another image
WORTH_ALIGNING = 0.4  # largest relative distance before alignment; the largest among planted copies was 0.38
GREY = np.array([0.299, 0.587, 0.114], np.float32)
WHITE = 250
SAME_SCALE = 1.2  # thumbnails whose sizes differ by less than this factor are compared without resizing

_px = np.arange(SIDE)
_blur = np.exp(-0.5 * (_px[:, None] - _px) ** 2)  # a Gaussian of 1 px
_blur /= _blur.sum(axis=1, keepdims=True)
# Both images are sampled on SIDE x SIDE points and blurred; every second point is used, G = SIDE / 2 per side.
BLUR = _blur[::2].astype(np.float32)  # (G, SIDE)
SLOPE = (np.gradient(_blur, axis=0)[::2] * SIDE).astype(np.float32)  # slope of the blurred image, per side
CURVE = np.gradient(np.gradient(_blur, axis=0), axis=0)[::2].astype(np.float32)
FROM_CENTRE = ((_px[::2] + 0.5) / SIDE - 0.5).astype(np.float32)  # (G,), in shares of a side


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of B images, each in the upper left corner of (SIDE, SIDE)."""

    rgb: Floats  # (B, 3, SIDE, SIDE), 0..255
    height: Ints  # (B,), px
    width: Ints

    @classmethod
    def from_prints(cls, prints: Prints, mirrored: NDArray[np.bool_]) -> "Thumbnails":
        """The thumbnails of `prints`; those with `mirrored` (B,) are mirrored."""
        rgb = prints.column("thumbnail").transpose(0, 3, 1, 2).astype(np.float32)
        height, width = (prints.column(side).astype(np.int64) for side in ("height", "width"))
        for k in np.flatnonzero(mirrored):
            rgb[k, :, :, : width[k]] = rgb[k, :, :, : width[k]][..., ::-1].copy()
        return cls(rgb, height, width)

    def grey(self) -> Floats:
        """(B, 1, SIDE, SIDE) luminance."""
        return np.einsum("bchw,c->bhw", self.rgb, GREY)[:, None]

    def is_grey(self) -> NDArray[np.bool_]:
        """(B,) whether the three channels are equal up to 2 levels."""
        return np.ptp(self.rgb, axis=1).max(axis=(1, 2)) <= 2

    def __getitem__(self, mask: NDArray[np.bool_]) -> "Thumbnails":
        return Thumbnails(self.rgb[mask], self.height[mask], self.width[mask])


def _weights(at: Floats, half_width: Floats, size: Ints) -> Floats:
    """(B, SIDE, SIDE) triangular weights of `half_width` (B,) px at `at` (B, SIDE) px on sides of `size` (B,) px."""
    at = np.clip(at, 0, size[:, None] - 1).astype(np.float32)
    weights = 1 - np.abs(at[..., None] - _px.astype(np.float32)) / half_width[:, None, None]
    weights *= _px < size[:, None, None]
    weights = np.maximum(weights, 0)
    return weights / weights.sum(axis=2, keepdims=True)


def _resizing(size: Ints, to: Ints) -> Floats:
    """(B, SIDE, SIDE) matrices that resize `size` px to `to` px, antialiased; the identity where they are equal."""
    scale = (size / to).astype(np.float32)
    return _weights((_px + 0.5) * scale[:, None] - 0.5, scale, size)


def _sampling(centre: Floats, extent: Floats, size: Ints) -> Floats:
    """(B, SIDE, SIDE) matrices that sample a part of a side of `size` px linearly; `centre` and `extent` are shares."""
    share = centre[:, None] + extent[:, None] * ((_px + 0.5) / SIDE - 0.5)
    return _weights(share * size[:, None] - 0.5, np.ones(len(size), np.float32), size)


def _product(vertical: Floats, images: Floats, horizontal: Floats) -> Floats:
    """(B, H * W) grey `images` (B, 1, SIDE, SIDE) transformed by matrices (B, H, SIDE) and (B, W, SIDE)."""
    return (vertical[:, None] @ images @ horizontal.transpose(0, 2, 1)[:, None]).reshape(len(images), -1)


def _matched(x: Thumbnails, y: Thumbnails) -> tuple[Floats, Ints, Ints]:
    """Luminance of x, resized to the size of y if x is clearly larger; and its heights and widths."""
    height = np.where(x.height > SAME_SCALE * y.height, y.height, x.height)
    width = np.where(x.width > SAME_SCALE * y.width, y.width, x.width)
    if (height == x.height).all() and (width == x.width).all():
        return x.grey(), height, width
    resized = _product(_resizing(x.height, height), x.grey(), _resizing(x.width, width))
    return resized.reshape(-1, 1, SIDE, SIDE), height, width


def _solve(columns: list[Floats], target: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Least squares of `target` (B, P) by `columns` (B, P), weighted: coefficients (B, K) and fit (B, P)."""
    design = np.stack(columns, axis=2)
    transposed = design.transpose(0, 2, 1)
    if weights is not None:
        transposed = transposed * weights[:, None]
    # A small ridge, because an image without content has no slope.
    normal = transposed @ design + 1e-2 * np.eye(len(columns), dtype=np.float32)
    coefficients = np.linalg.solve(normal, transposed @ target[..., None])
    return coefficients[..., 0], (design @ coefficients)[..., 0]


def _unexplained(columns: list[Floats], target: Floats) -> Floats:
    """(B,) relative RMSE of the fit by offset, gain and curvature; infinite if the gain is not that of a copy."""
    # White may be clipped: white pixels hardly count in the fit, and a fit beyond white or black is cut there.
    coefficients, fit = _solve(columns, target, np.where(target < WHITE, 1, 0.01).astype(np.float32))
    rest = np.sqrt(((target - np.clip(fit, 0, 255)) ** 2).mean(axis=1)) / np.maximum(target.std(axis=1), 1)
    gain = coefficients[:, 1]
    return np.where((gain < GAINS[0]) | (gain > GAINS[1]), np.inf, rest)


def distances(x: Thumbnails, y: Thumbnails, parts: Floats) -> Floats:
    """(2, B) RMSE between y and x in grey levels of 0..255, at the lower contrast, and relative to the contrast.

    The initial alignment is `parts` (B, 4) of x: top, left, bottom, right in shares. Pairs that are far apart there
    keep that distance; the others are aligned.
    """
    result = _distances(x, y, parts, steps=0)
    near = result[1] < WORTH_ALIGNING
    if near.any():
        result[:, near] = _distances(x[near], y[near], parts[near], steps=STEPS)
    return result


def tint_distances(x: Thumbnails, y: Thumbnails) -> Floats:
    """(B,) largest difference of the mean R, G and B, each minus the luminance; 0 if either image is grey."""
    means = [images.rgb.sum(axis=(2, 3)) / (images.height * images.width)[:, None] for images in (x, y)]
    difference = np.abs(np.subtract(*(mean - (mean @ GREY)[:, None] for mean in means))).max(axis=1)
    return np.where(x.is_grey() | y.is_grey(), 0, difference).astype(np.float32)


def _distances(x: Thumbnails, y: Thumbnails, parts: Floats, steps: int) -> Floats:
    """(2, B) smallest distances in `steps` of Gauss-Newton; `cy`, `sy`: centre and extent of the part, in shares."""
    grey, height, width = _matched(x, y)
    other, other_height, other_width = _matched(y, x)
    one, half = np.ones(len(parts), np.float32), np.full(len(parts), 0.5, np.float32)
    target = _product(BLUR @ _sampling(half, one, other_height), other, BLUR @ _sampling(half, one, other_width))
    cy, cx = (parts[:, 0] + parts[:, 2]) / 2, (parts[:, 1] + parts[:, 3]) / 2
    sy, sx = parts[:, 2] - parts[:, 0], parts[:, 3] - parts[:, 1]
    from_y = np.repeat(FROM_CENTRE, len(FROM_CENTRE))
    from_x = np.tile(FROM_CENTRE, len(FROM_CENTRE))
    best = np.full((2, len(parts)), np.inf, np.float32)
    for step in range(steps + 1):
        vertical, horizontal = _sampling(cy, sy, height), _sampling(cx, sx, width)
        v, h = BLUR @ vertical, BLUR @ horizontal
        image = _product(v, grey, h)
        curvature = _product(CURVE @ vertical, grey, h) + _product(v, grey, CURVE @ horizontal)
        ones = np.ones_like(image)
        # The better of both directions counts: an overexposed copy cannot explain its original.
        relative = np.minimum(_unexplained([ones, image, curvature], target), _unexplained([ones, target], image))
        levels = relative * np.minimum(target.std(axis=1), image.std(axis=1))
        better = relative < best[1]
        best[:, better] = levels[better], relative[better]
        if step == steps:
            break
        down, right = _product(SLOPE @ vertical, grey, h), _product(v, grey, SLOPE @ horizontal)
        moves, _ = _solve([ones, image, down, from_y * down, right, from_x * right], target)
        # The slopes carry the gain; a gain near zero means that there is nothing to align.
        moves = moves[:, 2:] / np.where(np.abs(moves[:, 1:2]) > 0.2, moves[:, 1:2], np.inf)
        cy, cx = (np.clip(c + moves[:, k], 0.5 - REACH / 2, 0.5 + REACH / 2) for c, k in ((cy, 0), (cx, 2)))
        sy, sx = (np.clip(s * (1 + moves[:, k]), 1 - REACH, 1 + REACH) for s, k in ((sy, 1), (sx, 3)))
    return best
