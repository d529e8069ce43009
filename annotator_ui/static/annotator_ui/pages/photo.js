// Photo and mask on canvases: loading, cropping, the outline of the object, looking closer.

import { t } from "../words.js";
import { fit, held, moved, pinched, zoomed } from "../zoom.js";

export { fit };

const OUTLINE = "#ffb000";

export async function loadImage(url) {
  const image = new Image();
  image.decoding = "async";
  image.src = url;
  try {
    await image.decode();
  } catch {
    throw new Error(t("The photo cannot be loaded."));
  }
  return image;
}

/** [photo, mask] of an object, as images; null for a mask that is not there. */
export const photoAndMask = ({ photo_url, mask_url }) => Promise.all([loadImage(photo_url), mask_url ? loadImage(mask_url) : null]);

/** The mask as bytes (0 or 1, by rows) at the given size. */
export function maskBytes(image, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const mask = new Uint8Array(width * height);
  for (let at = 0; at < mask.length; at += 1) mask[at] = data[at * 4] > 127 && data[at * 4 + 3] > 127 ? 1 : 0;
  return mask;
}

/** The mask as a stencil: a canvas that is opaque inside. */
export function stencil(image) {
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    pixels.data[at + 3] = pixels.data[at] > 127 && pixels.data[at + 3] > 127 ? 255 : 0;
    [pixels.data[at], pixels.data[at + 1], pixels.data[at + 2]] = [255, 176, 0];
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Draw the region of the photo into the canvas, with the outline of the stencil over it. */
export function drawPhoto(canvas, photo, shape, region = [0, 0, photo.naturalWidth, photo.naturalHeight]) {
  paint(canvas, photo, shape, fit(region, canvas.clientWidth, canvas.clientHeight));
}

/** Draw the photo at a place {scale, x, y} in CSS pixels of the canvas. */
function paint(canvas, photo, shape, place) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const context = canvas.getContext("2d");
  const scale = place.scale * ratio;
  const box = [place.x * ratio, place.y * ratio, photo.naturalWidth * scale, photo.naturalHeight * scale];
  context.drawImage(photo, ...box);
  if (shape) context.drawImage(ring(shape, box, canvas.width, canvas.height, 2 * ratio), 0, 0);
}

/** Only the rim of a stencil: drawn shifted in eight directions, then its inside cut out. */
export function ring(shape, box, width, height, thickness) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  for (let step = 0; step < 8; step += 1) {
    const angle = (step * Math.PI) / 4;
    context.drawImage(shape, box[0] + Math.cos(angle) * thickness, box[1] + Math.sin(angle) * thickness, box[2], box[3]);
  }
  context.globalCompositeOperation = "source-in";
  context.fillStyle = OUTLINE;
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(shape, ...box);
  return canvas;
}

/** The mask's box [x0, y0, x1, y1) with a margin, inside the photo, as a region [x, y, w, h]. */
export function around(box, width, height, margin = 0.25) {
  const pad = Math.max(box[2] - box[0], box[3] - box[1]) * margin + 4;
  const [x0, y0] = [Math.max(0, box[0] - pad), Math.max(0, box[1] - pad)];
  const [x1, y1] = [Math.min(width, box[2] + pad), Math.min(height, box[3] + pad)];
  return [x0, y0, x1 - x0, y1 - y0];
}

const STEP = 1.25;
const NUDGE = 48;

/** A photo to look into: wheel, two fingers or keys zoom, a drag moves it, a double click goes back. */
export class PhotoView {
  constructor(canvas) {
    this.canvas = canvas;
    this.photo = null;
    this.cropped = true;
    this.fingers = new Map();
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("dblclick", () => this.home());
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, ({ pointerId }) => this.fingers.delete(pointerId));
    new ResizeObserver(() => this.home()).observe(canvas);
  }

  /** Show a photo with the outline of a stencil; `crop`: the region [x, y, w, h] around the object, or null. */
  show(photo, shape, crop) {
    Object.assign(this, { photo, shape, crop });
    this.home();
  }

  get size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  /** The crop, or the whole photo, as it was at first. */
  home() {
    if (!this.photo) return;
    const whole = [0, 0, this.photo.naturalWidth, this.photo.naturalHeight];
    this.#go(fit((this.cropped && this.crop) || whole, ...this.size));
  }

  toggle() {
    this.cropped = !this.cropped;
    this.home();
  }

  zoom(steps, at = this.size.map((side) => side / 2)) {
    if (this.photo) this.#go(zoomed(this.place, STEP ** steps, at));
  }

  /** Look further in a direction, in steps. */
  pan(right, down) {
    if (this.photo) this.#go(moved(this.place, -right * NUDGE, -down * NUDGE));
  }

  #go(place) {
    this.place = held(place, [this.photo.naturalWidth, this.photo.naturalHeight], this.size);
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      paint(this.canvas, this.photo, this.shape, this.place);
    });
  }

  #point({ clientX, clientY }) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  #wheel(event) {
    event.preventDefault();
    this.zoom(Math.max(-2, Math.min(2, -event.deltaY / 100)), this.#point(event));
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.#point(event));
  }

  #move(event) {
    const from = this.fingers.get(event.pointerId);
    if (!from || !this.photo) return;
    const before = [...this.fingers.values()];
    const to = this.#point(event);
    this.fingers.set(event.pointerId, to);
    if (before.length === 1) this.#go(moved(this.place, to[0] - from[0], to[1] - from[1]));
    else if (before.length === 2) this.#go(pinched(this.place, before, [...this.fingers.values()]));
  }
}
