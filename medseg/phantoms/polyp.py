from typing import NamedTuple

import numpy as np
from scipy import ndimage

from medseg.phantoms import drawing
from medseg.phantoms.drawing import cloud_noise, smooth_noise, soft_step

_POLYP_COUNTS = (0, 1, 2)
_POLYP_COUNT_SHARES = (0.06, 0.76, 0.18)


class _View(NamedTuple):
    """The picture's plane; `y` and `x` are `(H, W)`, from the center, in units of the short side."""

    y: np.ndarray
    x: np.ndarray
    visible: np.ndarray  # 0 in the black corners, 1 inside the view
    short_side: int  # pixels


class _Surface(NamedTuple):
    """What the camera sees, before any light."""

    color: np.ndarray  # (H, W, 3), about 0..1
    relief: np.ndarray  # (H, W), height above the mean wall, in units of the short side
    depth: np.ndarray  # (H, W), 0 next to the camera, 1 in the lumen


def polyp_phantom(index: int, size: tuple[int, int] | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one colonoscopy-like picture and the mask of its polyps.

    The wall has folds, vessels, patches of other color and, mostly, a dark lumen; the view has black corners, uneven
    light, highlights, blur and sensor noise. Polyps are domes of random outline with soft borders. Neither color nor
    brightness alone tells them from folds and patches: what does is their outline, shading and the interrupted vessels.
    Arguments and results: see `PHANTOMS`. Without a size it is landscape or portrait, of 208 to about 390 pixels a
    side. About one mask in twenty is empty.
    """
    rng = np.random.default_rng((seed, index))
    if size is None:
        short = int(rng.integers(208, 289))
        long = round(short * rng.uniform(1.0, 1.36))
        size = (long, short) if rng.random() < 0.25 else (short, long)
    view = _view(rng, drawing.check_size(size))
    surface = _wall(rng, view)
    mask = np.zeros(view.y.shape, bool)
    for _ in range(rng.choice(_POLYP_COUNTS, p=_POLYP_COUNT_SHARES)):
        surface, covered = _add_polyp(rng, view, surface)
        mask |= covered
    picture = _photograph(rng, view, surface)
    return picture, np.where(mask & (view.visible > 0.5), 255, 0).astype(np.uint8)


def _view(rng: np.random.Generator, shape: tuple[int, int]) -> _View:
    """Black corners: an octagon or a circle, and sometimes the black box of a picture in the picture."""
    y, x = drawing.center_fields(*shape)
    across, along = np.abs(y) / np.abs(y).max(), np.abs(x) / np.abs(x).max()
    if rng.random() < 0.6:
        edge = (across + along) / rng.uniform(1.5, 1.75)
    else:
        edge = np.hypot(across, along) / rng.uniform(1.05, 1.3)
    visible = soft_step(edge, 1 / 120)
    if rng.random() < 0.2:
        visible = visible * ~((y > rng.uniform(0.15, 0.35)) & (x < rng.uniform(-0.35, -0.2)))
    return _View(y, x, visible, min(shape))


def _wall(rng: np.random.Generator, view: _View) -> _Surface:
    """Lay out the lumen and the folds around it, and color them."""
    shape, short = view.y.shape, view.short_side
    lumen_y, lumen_x = rng.uniform(-0.55, 0.55, 2)
    bend = rng.uniform(0.03, 0.09) * cloud_noise(rng, shape, short / 2, 2)
    away = np.hypot(view.y - lumen_y, (view.x - lumen_x) * rng.uniform(0.7, 1.4)) + bend
    depth = np.zeros(shape)
    if rng.random() < 0.75:
        depth = np.exp(-np.square(np.maximum(away, 0) / rng.uniform(0.13, 0.30)))
    # folds are rings around the lumen: a slow rise and a sharp edge each, fading here and there
    phase = (away * rng.uniform(2, 5) + rng.uniform(0, 1) + 0.12 * smooth_noise(rng, shape, short / 2)) % 1
    ridge = np.power(phase, rng.uniform(2, 5)) * (1 - np.power(phase, 12))
    strength = rng.uniform(0.0, 0.12) * (0.5 + 0.6 * smooth_noise(rng, shape, short / 2.5)).clip(0, 1.5)
    relief = ndimage.gaussian_filter(ridge * strength, short * 0.012)
    relief += 0.02 * cloud_noise(rng, shape, short / 3, 2)
    return _Surface(_mucosa(rng, shape, short), relief, depth)


def _mucosa(rng: np.random.Generator, shape: tuple[int, int], short: int) -> np.ndarray:
    """Color of the wall in even light, `(H, W, 3)`: hue, patches, fine grain and vessels."""
    paleness = rng.uniform(0, 1)
    base = np.array([0.92, 0.46 + 0.16 * paleness, 0.33 + 0.16 * paleness]) + rng.normal(0, 0.02, 3)
    # patches are redder or paler, and some yellowish
    redness = cloud_noise(rng, shape, short / rng.uniform(2, 6), 3) * rng.uniform(0.01, 0.07)
    yellow = (cloud_noise(rng, shape, short / 3, 3) - 1.2).clip(0, 1) * rng.uniform(0, 0.2)
    color = base - redness[..., None] * [0.3, 1.0, 0.9] - yellow[..., None] * [0.5, 0.2, 1.0]
    color *= 1 + 0.03 * cloud_noise(rng, shape, short / 24, 3)[..., None]
    # vessels run where a warped field passes through zero; a second, slower field says where they show
    shown = rng.uniform(0.0, 0.22) * (0.3 + 0.7 * smooth_noise(rng, shape, short / 3)).clip(0, 1.2)
    net = np.zeros(shape)
    for cell, thickness in ((short / 5, 0.09), (short / 11, 0.16)):
        net = np.maximum(net, np.exp(-np.square(cloud_noise(rng, shape, cell, 2) / thickness)))
    return color - (net * shown)[..., None] * [0.35, 0.75, 0.6]


def _blob(rng: np.random.Generator, view: _View, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A random outline: for every pixel the distance from its center (1 on the outline) and the direction."""
    reach_y, reach_x = (max(np.abs(axis).max() - 0.18 - radius / 2, 0.0) for axis in (view.y, view.x))
    place = view.y - rng.uniform(-reach_y, reach_y), view.x - rng.uniform(-reach_x, reach_x)
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
    away, angle, outline = drawing.irregular_ellipse(rng, place, turn, stretch, range(2, 6), 0.11)
    outline += 0.05 * smooth_noise(rng, view.y.shape, view.short_side * radius / 2)
    return away / (radius * outline), angle


def _add_polyp(rng: np.random.Generator, view: _View, surface: _Surface) -> tuple[_Surface, np.ndarray]:
    """Raise a dome of its own hue and texture; returns the new surface and the covered pixels."""
    shape, short = view.y.shape, view.short_side
    radius = np.exp(rng.uniform(np.log(0.11), np.log(0.36)))
    distance, angle = _blob(rng, view, radius)
    alpha = soft_step(distance, rng.uniform(0.02, 0.10))

    # a patch of the wall seen from near: own grain, few vessels, slightly other hue
    grain = cloud_noise(rng, shape, max(short * radius / rng.uniform(3, 8), 2), 3)
    wall = ndimage.gaussian_filter(surface.color, (short * radius / 3, short * radius / 3, 0))
    hue = rng.normal(0, 0.05) * np.array([0.3, 1.0, 0.9]) + rng.normal(0, 0.012, 3) + rng.uniform(-0.04, 0.04)
    own = (wall + hue) * (1 + rng.uniform(0.02, 0.06) * grain[..., None])
    pits = np.maximum(smooth_noise(rng, shape, max(short / rng.uniform(30, 60), 2)) - 0.4, 0)
    own -= (pits * rng.uniform(0, 0.08))[..., None] * [0.4, 1.0, 0.8]
    # a thin dark seam where the dome leaves the wall, stronger on one side
    side = 0.6 + 0.4 * np.cos(angle - rng.uniform(0, 2 * np.pi))
    seam = np.exp(-np.square((distance - 1.03) / 0.06)) * side * rng.uniform(0.0, 0.2)
    color = (surface.color + alpha[..., None] * (own - surface.color)) * (1 - seam[..., None])

    dome = np.sqrt(np.clip(1 - np.square(distance), 0, 1)) * radius * rng.uniform(0.2, 0.6)
    dome = ndimage.gaussian_filter(dome + 0.002 * grain * alpha, short * 0.01)
    # it stands out toward the camera, so it is lit even in front of the lumen
    return (_Surface(color, surface.relief * (1 - 0.6 * alpha) + dome, surface.depth * (1 - 0.7 * alpha)), distance < 1)


def _photograph(rng: np.random.Generator, view: _View, surface: _Surface) -> np.ndarray:
    """Light the relief from the camera and take the picture, uint8 `(H, W, 3)`."""
    shape, short = view.y.shape, view.short_side
    slope_y, slope_x = np.gradient(surface.relief * short)
    light_y, light_x = rng.normal(0, 0.4, 2)
    shade = (1 - 0.8 * (slope_y * light_y + slope_x * light_x)) / np.sqrt(1 + slope_y**2 + slope_x**2)
    center_y, center_x = rng.uniform(-0.3, 0.3, 2)
    spread = rng.uniform(0.6, 1.1)
    lamp = np.exp(-(np.square(view.y - center_y) + np.square(view.x - center_x)) / (2 * spread**2))
    light = shade.clip(0.15, 1.6) * (0.45 + 0.75 * lamp) * (1 - 0.9 * surface.depth) * rng.uniform(0.65, 1.05)
    picture = surface.color * light[..., None]
    # shadows lose green and blue first
    picture *= np.power(light.clip(0.05, 1)[..., None], [0.0, 0.18, 0.28])

    # wet spots mirror the lamp where the wall faces it
    wet = cloud_noise(rng, shape, short / rng.uniform(10, 40), 2) + cloud_noise(rng, shape, short / 4, 2)
    wet += rng.uniform(1, 5) * (shade - 1)
    level = np.quantile(wet, 1 - rng.uniform(0.001, 0.02))
    glare = ((wet - level) * 6).clip(0, 1) * (1 - surface.depth)
    picture += ndimage.gaussian_filter(glare, rng.uniform(0.5, 1.2))[..., None] * [0.55, 0.7, 0.7]

    sigma = rng.uniform(0.3, 1.1)
    picture = ndimage.gaussian_filter(picture, (sigma, sigma, 0))
    picture += rng.normal(0, rng.uniform(0.004, 0.02), shape)[..., None]
    picture = picture * view.visible[..., None] + 0.02
    return drawing.to_bytes(picture)
