"""The light and the camera's look of a photo, estimated well enough that a thing pasted into it does not jar.

Small on purpose. How bright: an object of middle grey gets the photo's middle brightness. What colour: the photo's cast,
half believed, for half of it is the things and not the light. From where: with a pointmap, brightness fitted to the
surfaces' normals by first-order spherical harmonics; without, from above and from the brighter side. How sharp and how
grainy: measured on the photo's sharpest edges and its smoothest parts. Linear light, OpenCV camera.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from model_zoo.raster import Light, Lighting
from model_zoo.raster_parts import TO_LINEAR, unit

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
MIDDLE = 0.25  # albedo (linear) of the things in a photo, on average
EXPOSURES = (0.15, 1.6)
CASTS = (0.75, 1.35)
DIRECTNESS = (0.15, 0.75)  # share of the directional light where it falls straight on
FACING = 0.4  # share of the directional light on a surface as it comes
PRIOR_SHARE = 0.5  # points that speak for the assumed light, for each point of the pointmap
GRID = 128  # pixels of the longer side at which brightness and colour are looked at
ABOVE, TOWARDS_CAMERA = 0.8, 0.6  # the assumed light comes from above and from behind the camera's shoulder
BACKLIGHT = 0.3  # a light further behind the object is moved forward: its far side is not seen


@dataclass(frozen=True)
class Look:
    """The light on an object, and how the camera shows it.

    blur: standard deviation in pixels of the photo's sharpest edges. grain: standard deviation of its noise in sRGB
    steps of 255. fitted: whether the light's direction was measured on a pointmap.
    """

    lighting: Lighting
    blur: float
    grain: float
    fitted: bool = False


def look_of(rgb: np.ndarray, points: np.ndarray | None = None) -> Look:
    """The look of a photo uint8 (H,W,3), with its pointmap (H,W,3, NaN where invalid) where there is one."""
    stride = max(-(-max(rgb.shape[:2]) // GRID), 1)
    small = TO_LINEAR[rgb[::stride, ::stride]]
    luma = small @ LUMA
    exposure = exposure_of(luma)
    towards, directness = _assumed(luma)
    fit = None if points is None else _fitted(luma, points[::stride, ::stride], towards, directness)
    towards, directness = fit or (towards, directness)
    direct = exposure / (1 / directness - 1 + FACING)
    even = direct * (1 / directness - 1)
    lighting = _lighting(towards, direct, even, _cast(small))
    grey = (rgb @ LUMA).astype(np.float32)
    return Look(lighting, _blur(grey), _grain(grey), fit is not None)


def exposure_of(luma: np.ndarray) -> float:
    """Light that shows middle grey as the middle of these linear brightnesses; black and burnt-out ones do not count."""
    counted = luma[(luma > 0.002) & (luma < 0.95)]
    middle = float(np.median(counted)) if counted.size > 0.1 * luma.size else float(np.median(luma))
    return float(np.clip(middle / MIDDLE, *EXPOSURES))


def nearby(look: Look, rgb: np.ndarray, box: tuple[int, int, int, int]) -> Look:
    """The look at a place of the photo: its exposure drawn half-way to that of the box (left, top, right, bottom)."""
    left, top, right, bottom = box
    part = TO_LINEAR[rgb[max(top, 0) : bottom : 2, max(left, 0) : right : 2]] @ LUMA
    if not part.size:
        return look
    everywhere = exposure_of(TO_LINEAR[rgb[::8, ::8]] @ LUMA)
    return replace(look, lighting=scaled(look.lighting, float(np.sqrt(exposure_of(part) / everywhere))))


def scaled(lighting: Lighting, gain: float) -> Lighting:
    """The same light, brighter by `gain`."""
    return replace(
        lighting,
        lights=tuple(Light(light.towards, _times(light.colour, gain)) for light in lighting.lights),
        ambient=_times(lighting.ambient, gain),
        sky=_times(lighting.sky, gain),
    )


def _lighting(towards: np.ndarray, direct: float, even: float, cast: np.ndarray) -> Lighting:
    """Even light comes by one half from above (0.75 ambient, 0.5 sky: 1 on a surface that faces the camera)."""
    light = Light(_numbers(towards), _numbers(direct * cast))
    return Lighting((light,), _numbers(0.75 * even * cast), _numbers(0.5 * even * cast))


def _cast(linear: np.ndarray) -> np.ndarray:
    """Colour (3,) of the light, luminance 1: shades of grey with p = 6 (Finlayson and Trezzi 2004), half believed."""
    power = np.mean(np.minimum(linear, 0.95).reshape(-1, 3).astype(np.float64) ** 6, axis=0) ** (1 / 6)
    cast = np.clip(np.sqrt(power / max(float(power @ LUMA), 1e-6)), *CASTS)
    return cast / float(cast @ LUMA)


def _assumed(luma: np.ndarray) -> tuple[np.ndarray, float]:
    """Where light comes from, and how direct it is, as the photo's brighter side and its contrast suggest."""
    tone = np.log2(np.maximum(luma, 0.002))
    across = np.linspace(-1, 1, tone.shape[1])
    slope = float(
        ((tone - tone.mean()) * across).mean() / max(float((across**2).mean()), 1e-6)
    )  # stops, middle to edge
    towards = unit(np.array([0.9 * np.tanh(slope), -ABOVE, -TOWARDS_CAMERA]))
    low, high = np.percentile(tone, (16, 84))
    return towards, float(np.clip(((high - low) / 2 - 0.5) / 2, *DIRECTNESS))


def _fitted(
    luma: np.ndarray, points: np.ndarray, towards: np.ndarray, directness: float
) -> tuple[np.ndarray, float] | None:
    """Direction and directness of the light from brightness against normals; None where too few normals are known.

    Irradiance of an even light A and a directional D from l is about (A + D/4) + D/2 n.l (Ramamoorthi and Hanrahan
    2001, to first order): fitted to brightness in units of its median by reweighted least squares (Tukey), so that
    dark and bright things count little. The assumed light counts as PRIOR_SHARE of the points, on normals that face
    the camera evenly.
    """
    normals, known = normals_of(points)
    n, level = normals[known], luma[known]
    if len(n) < 200 or np.median(level) <= 0:
        return None
    level = np.minimum(level / np.median(level), 4)
    turns = np.arange(len(n)) * 2.399963  # a golden spiral over the half sphere that faces the camera
    z = -(np.arange(len(n)) + 0.5) / len(n)
    spiral = np.stack([np.sqrt(1 - z * z) * np.cos(turns), np.sqrt(1 - z * z) * np.sin(turns), z], 1)
    direct, even = directness, 1 - directness
    assumed = even + direct / 4 + direct / 2 * spiral @ towards
    rows = np.c_[np.ones(2 * len(n)), np.concatenate([n, spiral])]
    values = np.concatenate([level, assumed / np.median(assumed)])
    share = np.concatenate([np.ones(len(n)), np.full(len(n), PRIOR_SHARE)])
    weights, fit = share, np.zeros(4)
    for _ in range(8):
        fit = np.linalg.lstsq(rows * np.sqrt(weights)[:, None], values * np.sqrt(weights), rcond=None)[0]
        apart = np.abs(values - rows @ fit)
        reach = 4 * max(float(np.median(apart[: len(n)])), 0.05)
        weights = share * np.maximum(1 - (apart / reach) ** 2, 0) ** 2
    strength = float(np.linalg.norm(fit[1:]))
    if not np.isfinite(strength) or strength < 1e-3 or fit[0] <= 0:
        return None
    direction = fit[1:] / strength
    direction[2] = min(direction[2], BACKLIGHT)
    direct, even = 2 * strength, max(fit[0] - strength / 2, 0.0)
    return unit(direction), float(np.clip(direct / (direct + even), *DIRECTNESS))


def normals_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (H,W,3) of a pointmap (H,W,3), towards the camera, and where they are known (H,W)."""
    points = np.asarray(points, np.float64)
    across, down = np.full(points.shape, np.nan), np.full(points.shape, np.nan)
    across[:, 1:-1] = points[:, 2:] - points[:, :-2]
    down[1:-1] = points[2:] - points[:-2]
    normals = np.cross(down, across)
    length = np.linalg.norm(normals, axis=-1)
    z = np.abs(points[..., 2])
    with np.errstate(invalid="ignore"):
        smooth = (np.abs(across[..., 2]) < 0.1 * z) & (np.abs(down[..., 2]) < 0.1 * z)
        known = np.isfinite(length) & (length > 0) & smooth
    normals = np.where(known[..., None], normals / np.where(known, length, 1)[..., None], 0)
    away = np.einsum("hwi,hwi->hw", normals, np.nan_to_num(points)) > 0
    return np.where(away[..., None], -normals, normals), known


def _blur(grey: np.ndarray) -> float:
    """Standard deviation of the sharpest edges, by blurring them again (Zhuo and Sim 2011): 0 to 3 pixels."""
    steep = np.hypot(*np.gradient(grey))
    again = np.hypot(*np.gradient(ndimage.gaussian_filter(grey, 1.0)))
    edges = steep > max(float(np.percentile(steep, 95)), 8.0)
    if edges.sum() < 50:
        return 0.0
    ratio = np.maximum(steep[edges] / np.maximum(again[edges], 1e-6), 1.001)
    return float(np.clip(np.percentile(1 / np.sqrt(ratio**2 - 1), 25), 0, 3))


def _grain(grey: np.ndarray) -> float:
    """Standard deviation of the noise (Immerkaer 1996) in the flattest quarter of 8 x 8 blocks: 0 to 12 steps."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    second = np.abs(ndimage.convolve(grey, kernel))
    height, width = (n // 8 * 8 for n in grey.shape)
    if not height or not width:
        return 0.0
    blocks = second[:height, :width].reshape(height // 8, 8, width // 8, 8).mean((1, 3))
    mean = grey[:height, :width].reshape(height // 8, 8, width // 8, 8).mean((1, 3))
    usable = blocks[(mean > 8) & (mean < 247)]
    if not usable.size:
        return 0.0
    return float(np.clip(np.sqrt(np.pi / 2) / 6 * np.percentile(usable, 25), 0, 12))


def _times(colour: tuple[float, float, float], gain: float) -> tuple[float, float, float]:
    return _numbers(np.asarray(colour) * gain)


def _numbers(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
