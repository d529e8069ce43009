// Photo and mask of the object at work and of the one after it: loaded and measured once, before they are looked at.

import { box } from "../masks.js";
import { around, maskBytes, photoAndMask, stencil } from "./photo.js";

const kept = new Map();

/** {photo, mask: {data, width, height}, shape (its stencil), region (around it)}; the last three are null without a mask. */
export function picturesOf(object) {
  if (!kept.has(object.id)) {
    const coming = load(object);
    kept.set(object.id, coming);
    coming.catch(() => kept.delete(object.id));
  }
  return kept.get(object.id);
}

/** Drop the pictures of every other object. */
export function keepPictures({ id }) {
  for (const other of kept.keys()) if (other !== id) kept.delete(other);
}

async function load(object) {
  const { width, height } = object;
  const [photo, drawn] = await photoAndMask(object);
  if (!drawn) return { photo, mask: null, shape: null, region: null };
  const data = maskBytes(drawn, width, height);
  const region = box(data, width, height);
  return { photo, mask: { data, width, height }, shape: stencil(drawn), region: region && around(region, width, height) };
}
