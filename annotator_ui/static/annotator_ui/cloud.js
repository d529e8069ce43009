// A photo's points [x y z r g b, ...] (OpenCV camera) beside its mask: which of them are the object's. No three.

export const STRIDE = 6;

/** Per point 1 when its pixel lies in the mask {data, width, height} of the photo {camera, width, height}, else 0. */
export function inMask(points, { camera, width, height }, mask) {
  const inside = new Uint8Array(Math.floor(points.length / STRIDE));
  for (let at = 0; at < inside.length; at += 1) {
    const [x, y, z] = [points[at * STRIDE], points[at * STRIDE + 1], points[at * STRIDE + 2]];
    if (!(z > 0)) continue;
    // Pixel centres are at integers; the mask's columns are counted from its left edge.
    const column = Math.floor((((camera.fx * x) / z + camera.cx + 0.5) * mask.width) / width);
    const row = Math.floor((((camera.fy * y) / z + camera.cy + 0.5) * mask.height) / height);
    if (column >= 0 && row >= 0 && column < mask.width && row < mask.height) inside[at] = mask.data[row * mask.width + column];
  }
  return inside;
}
