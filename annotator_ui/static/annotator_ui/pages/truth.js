// What a posed mesh is held against: the photo, the object's mask and the points of the scene, loaded together.

import * as api from "../api.js";
import { t } from "../words.js";
import { loadImage, maskBytes, stencil } from "./photo.js";

const MASK_SIDE = 1600;

/** {photo, shape, mask, points} of an object as the API gives it: an image; the mask as a stencil and as {data, width,
 *  height} (bytes 0 or 1); Float32Array x y z r g b. What the object lacks is null. */
export async function loadTruth(object) {
  if (!object.camera) throw new Error(t("This photo has no camera yet: its pointmap is missing."));
  const [photo, mask, points] = await Promise.all([
    loadImage(object.photo_url),
    object.mask_url ? loadImage(object.mask_url) : null,
    object.points_url ? api.bytes(object.points_url) : null,
  ]);
  const scale = Math.min(1, MASK_SIDE / Math.max(object.width, object.height));
  const [width, height] = [object.width, object.height].map((side) => Math.max(1, Math.round(side * scale)));
  return {
    photo,
    shape: mask && stencil(mask),
    mask: mask && { data: maskBytes(mask, width, height), width, height },
    points: points && new Float32Array(points),
  };
}
