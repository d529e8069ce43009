// Photo and mask on canvases: loading, cropping, the outline of the object.

const OUTLINE = "#ffb000";

export async function loadImage(url) {
  const image = new Image();
  image.decoding = "async";
  image.src = url;
  try {
    await image.decode();
  } catch {
    throw new Error("The photo cannot be loaded.");
  }
  return image;
}

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

/** Where a region [x, y, w, h] lies when it fits into width x height: scale and offset. */
export function fit([x, y, w, h], width, height) {
  const scale = Math.min(width / w, height / h);
  return { scale, x: (width - w * scale) / 2 - x * scale, y: (height - h * scale) / 2 - y * scale };
}

/** Draw the region of the photo into the canvas, with the outline of the stencil over it. */
export function drawPhoto(canvas, photo, shape, region = [0, 0, photo.naturalWidth, photo.naturalHeight]) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const context = canvas.getContext("2d");
  const place = fit(region, canvas.width, canvas.height);
  const box = [place.x, place.y, photo.naturalWidth * place.scale, photo.naturalHeight * place.scale];
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
