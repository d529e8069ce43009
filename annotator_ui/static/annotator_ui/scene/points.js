// The points of a photo's scene as three draws them.

import { Box3, BufferAttribute, BufferGeometry, Points, PointsMaterial, Vector3 } from "three";
import { STRIDE } from "../cloud.js";

/** x y z r g b per point (OpenCV camera, colours 0..1) as two arrays in three's frame, so ordered that the first of them
 *  lie everywhere: drawing only those thins them evenly. */
export function splitPoints(values) {
  const count = Math.floor(values.length / STRIDE);
  const step = strideThrough(count);
  const positions = new Float32Array(count * 3);
  const colours = new Float32Array(count * 3);
  for (let at = 0; at < count; at += 1) {
    const from = ((at * step) % count) * STRIDE;
    positions[at * 3] = values[from];
    positions[at * 3 + 1] = -values[from + 1];
    positions[at * 3 + 2] = -values[from + 2];
    // Colours of a photo are sRGB; three works in linear light.
    for (let channel = 0; channel < 3; channel += 1) colours[at * 3 + channel] = values[from + 3 + channel] ** 2.2;
  }
  return { positions, colours };
}

/** A step near the golden section of `count` that visits every number below it once. */
function strideThrough(count) {
  const common = (a, b) => (b ? common(b, a % b) : a);
  let step = Math.max(1, Math.round(count * 0.618));
  while (common(step, count) > 1) step += 1;
  return step;
}

/** Points to add to a scene; colours may be null where the material has one. */
export function cloud(positions, colours, material) {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  if (colours) geometry.setAttribute("color", new BufferAttribute(colours, 3));
  return new Points(geometry, new PointsMaterial({ size: 2, sizeAttenuation: false, ...material }));
}

/** The box of points (x y z ...) without the outermost hundredth on each side: stray depths lie at a mask's rim. */
export function trimmed(own) {
  const ends = [0, 1, 2].map((axis) => {
    const values = Float32Array.from({ length: own.length / 3 }, (_, at) => own[at * 3 + axis]).sort();
    const cut = Math.floor(values.length / 100);
    return [values[cut], values[values.length - 1 - cut]];
  });
  return new Box3(new Vector3(...ends.map(([low]) => low)), new Vector3(...ends.map(([, high]) => high)));
}
