"""The light and the camera's look of a photo, estimated well enough that a thing pasted into it does not jar.

Small on purpose. How bright: so that middle grey and white look as the photo's middle and brightest parts do. What colour: the photo's cast,
half believed, for half of it is the things and not the light. From where: with a pointmap, brightness fitted to the
surfaces' normals by first-order spherical harmonics; without, from above and from the brighter side. How hard and
vivid its tones are, half believed too. How sharp and how grainy: measured on the photo's sharpest edges and its smoothest parts. Linear light, OpenCV camera.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from model_zoo.raster import Light, Lighting
from model_zoo.raster_parts import TO_LINEAR, unit

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
MIDDLE, WHITE = 0.25, 0.9  # albedo (linear) of the things in a photo, on average and at the most
EXPOSURES = (0.2, 1.6)
BRIGHTEST = 1.1  # light on a surface that faces all of it: white things stay below the end of the scale
CASTS = (0.75, 1.35)
DIRECTNESS = (0.15, 0.75)  # share of the directional light where it falls straight on
FACING = 0.4  # share of the directional light on a surface as it comes
PRIOR_SHARE = 0.2  # points that speak for the assumed light, for each point of the pointmap
USUAL_SPREAD, USUAL_CHROMA, PIVOT = (
    58.0,
    60.0,
    110.0,
)  # sRGB steps: of brightness, of vivid colours; middle grey
GRID = 128  # pixels of the longer side at which brightness and colour are looked at
ABOVE, TOWARDS_CAMERA = 0.8, 0.6  # the assumed light comes from above and from behind the camera's shoulder
HIGHEST = np.array(
    [1.0, -0.2, 0.3]
)  # of a fitted direction: a bright floor is no lamp, a far side is not seen


@dataclass(frozen=True)
class Look:
    """The light on an object, and how the camera shows it.

    blur: standard deviation in pixels of the photo's sharpest edges. grain: standard deviation of its noise in sRGB
    steps of 255. contrast, saturation: of its tone curve, 1 is usual. fitted: whether the light's direction was
    measured on a pointmap.
    """

    lighting: Lighting
    blur: float
    grain: float
    contrast: float = 1.0
    saturation: float = 1.0
    fitted: bool = False

    def toned(self, rgb: np.ndarray) -> np.ndarray:
        """Colours uint8 (...,3) with the photo's contrast and saturation."""
        if self.contrast == self.saturation == 1:
            return rgb
        # One matrix and an offset: away from the grey of the same brightness, then away from the pivot.
        grey = np.outer(LUMA, np.ones(3, np.float32))
        turn = self.contrast * (self.saturation * np.eye(3, dtype=np.float32) + (1 - self.saturation) * grey)
        toned = rgb @ turn.astype(np.float32) + np.float32((1 - self.contrast) * PIVOT)
        return np.clip(toned + 0.5, 0, 255).astype(np.uint8)


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
    gain = min(BRIGHTEST / (direct + even), 1.0)
    lighting = _lighting(towards, gain * direct, gain * even, _cast(small))
    grey = (rgb @ LUMA).astype(np.float32)
    return Look(lighting, _blur(grey), _grain(grey), *_tone(rgb[::stride, ::stride]), fit is not None)


def exposure_of(luma: np.ndarray) -> float:
    """Light that shows things as bright as these linear brightnesses, black and burnt-out ones left out.

    The geometric mean of two guesses: the median is a thing of MIDDLE albedo, and the brightest twentieth is white.
    """
    counted = luma[(luma > 0.002) & (luma < 0.95)]
    if counted.size < 0.1 * luma.size:
        counted = luma
    middle, bright = np.percentile(counted, (50, 95))
    return float(np.clip(np.sqrt(middle / MIDDLE * bright / WHITE), *EXPOSURES))


def nearby(look: Look, rgb: np.ndarray, box: tuple[int, int, int, int]) -> Look:
    """The look at a place of the photo: its exposure drawn half-way to that of the box (left, top, right, bottom)."""
    left, top, right, bottom = (max(n, 0) for n in box)
    part = TO_LINEAR[rgb[top:bottom:2, left:right:2]] @ LUMA
    if not part.size:
        return look
    everywhere = exposure_of(TO_LINEAR[rgb[::8, ::8]] @ LUMA)
    return replace(look, lighting=scaled(look.lighting, float(np.sqrt(exposure_of(part) / everywhere))))


def scaled(lighting: Lighting, gain: float) -> Lighting:
    """The same light, brighter by `gain`, as far as white things stay below the end of the scale."""
    most = max(
        max(np.sum([light.colour for light in lighting.lights], axis=0) + lighting.ambient + lighting.sky),
        1e-6,
    )
    gain = min(gain, max(BRIGHTEST / most, min(gain, 1.0)))
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


def _tone(rgb: np.ndarray) -> tuple[float, float]:
    """Contrast and saturation of a photo's tone curve: its spread and its colours against usual ones, half believed."""
    colours = rgb.astype(np.float32)
    spread, vivid = float((colours @ LUMA).std()), float(np.percentile(np.ptp(colours, axis=2), 90))
    contrast = float(np.clip((spread / USUAL_SPREAD) ** 0.5, 0.9, 1.25))
    return contrast, float(np.clip((vivid / USUAL_CHROMA) ** 0.3, 0.85, 1.25))


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
    dark and bright things count little, and directness is drawn half-way to the assumed one. That light counts as PRIOR_SHARE of the points, on normals that face
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
        reach = 4 * max(float(np.median(apart[: len(n)])), 0.1)
        weights = share * np.maximum(1 - (apart / reach) ** 2, 0) ** 2
    strength = float(np.linalg.norm(fit[1:]))
    if not np.isfinite(strength) or strength < 1e-3 or fit[0] <= 0:
        return None
    direction = np.minimum(fit[1:] / strength, HIGHEST)
    direct, even = 2 * strength, max(fit[0] - strength / 2, 0.0)
    return unit(direction), float(np.clip((direct / (direct + even) + directness) / 2, *DIRECTNESS))


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
    """Standard deviation of the noise (Immerkaer 1996) in the flattest of 8 x 8 blocks: 0 to 8 steps."""
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
    return float(np.clip(np.sqrt(np.pi / 2) / 6 * np.percentile(usable, 3), 0, 8))


def _times(colour: tuple[float, float, float], gain: float) -> tuple[float, float, float]:
    return _numbers(np.asarray(colour) * gain)


def _numbers(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
