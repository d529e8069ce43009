// The plane that an object stands on, found in the points of its photo, and how a pose comes to stand on it. No three.

import { STRIDE } from "./cloud.js";
import { apply, multiply } from "./poses.js";

const TRIES = 300;
const LEAST = 60; // points that a plane must hold
const REACH = 1.5; // how far around the object, in its own size
const STEEP = Math.cos(Math.PI / 3); // a ground leans at most so far from the photo's upright

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => {
  const length = Math.hypot(...a);
  return length > 0 ? a.map((value) => value / length) : null;
};

/** The plane under the object: {normal, height, share}, with normal . p = height for its points (OpenCV camera, normal
 *  upwards), and the share of the points around the object that lie on it; null when no plane stands out.
 *  points x y z r g b; inside: 1 for points of the object (cloud.js). The same points give the same plane. */
export function ground(points, inside) {
  const [own, others] = [[], []];
  for (let at = 0; at < inside.length; at += 1) {
    const point = [points[at * STRIDE], points[at * STRIDE + 1], points[at * STRIDE + 2]];
    if (point.every(Number.isFinite) && point[2] > 0) (inside[at] ? own : others).push(point);
  }
  if (own.length < 3 || others.length < LEAST) return null;
  const middle = [0, 1, 2].map((axis) => median(own.map((point) => point[axis])));
  const size = 2 * median(own.map((point) => Math.hypot(...minus(point, middle))));
  const near = others.filter((point) => Math.hypot(...minus(point, middle)) < REACH * size + size);
  if (near.length < LEAST) return null;
  const best = search(near, middle, size * 0.02);
  return best && refined(near, best, size * 0.02);
}

function median(values) {
  return Float64Array.from(values).sort()[Math.floor(values.length / 2)];
}

/** The plane through three points that holds most: below the object's middle, facing up. */
function search(near, middle, slack) {
  const random = dice(near.length);
  let best = null;
  for (let go = 0; go < TRIES; go += 1) {
    const [a, b, c] = [0, 1, 2].map(() => near[Math.floor(random() * near.length)]);
    const normal = upwards(unit(cross(minus(b, a), minus(c, a))));
    if (!normal || -normal[1] < STEEP) continue;
    const height = dot(normal, a);
    if (dot(normal, middle) < height) continue;
    let count = 0;
    for (const point of near) if (Math.abs(dot(normal, point) - height) < slack) count += 1;
    if (count >= LEAST && count > (best?.count ?? 0)) best = { normal, height, count };
  }
  return best;
}

/** y points down in the camera, so a normal with negative y faces up. */
function upwards(normal) {
  return normal && (normal[1] > 0 ? normal.map((value) => -value) : normal);
}

/** The plane that lies closest to the points on it: their least spread is along its normal. */
function refined(near, { normal, height }, slack) {
  const on = near.filter((point) => Math.abs(dot(normal, point) - height) < slack);
  const mean = [0, 1, 2].map((axis) => on.reduce((sum, point) => sum + point[axis], 0) / on.length);
  const spread = new Array(9).fill(0);
  for (const point of on) {
    const d = minus(point, mean);
    for (let at = 0; at < 9; at += 1) spread[at] += d[Math.floor(at / 3)] * d[at % 3];
  }
  // Power iteration on trace - spread turns the least spread into the largest value.
  const trace = spread[0] + spread[4] + spread[8];
  let least = normal;
  for (let go = 0; go < 60; go += 1)
    least = unit([0, 1, 2].map((row) => trace * least[row] - dot(spread.slice(row * 3, row * 3 + 3), least))) ?? normal;
  const up = upwards(least);
  return { normal: up, height: dot(up, mean), share: on.length / near.length };
}

/** Repeatable numbers in [0, 1): mulberry32. */
function dice(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The pose moved along the plane's normal until the lowest of the mesh's vertices (x y z ..., GLB frame) touches it. */
export function dropped(pose, positions, { normal, height }) {
  let lowest = Infinity;
  for (let at = 0; at < positions.length; at += 3)
    lowest = Math.min(lowest, dot(normal, apply(pose, [positions[at], positions[at + 1], positions[at + 2]])));
  return { ...pose, t: pose.t.map((value, axis) => value + normal[axis] * (height - lowest)) };
}

/** R of the pose turned the shortest way so that the GLB's y axis, its up, points along the plane's normal. */
export function upright({ R }, { normal }) {
  const up = [R[1], R[4], R[7]];
  const axis = cross(up, normal);
  const [s, c] = [Math.hypot(...axis), dot(up, normal)];
  // Upside down every way is as short: about the mesh's x axis.
  const [x, y, z] = s > 1e-9 ? axis.map((value) => value / s) : [R[0], R[3], R[6]];
  const k = 1 - c;
  const turn = [
    c + x * x * k, x * y * k - z * s, x * z * k + y * s,
    y * x * k + z * s, c + y * y * k, y * z * k - x * s,
    z * x * k - y * s, z * y * k + x * s, c + z * z * k,
  ];
  return multiply(turn, R);
}
