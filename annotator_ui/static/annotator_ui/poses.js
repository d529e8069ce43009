// Poses as plain numbers: p_cam = R diag(s) p_glb + t (column vectors, OpenCV camera). R is nine numbers by rows.

const RADIAN = Math.PI / 180;

export function multiply(a, b) {
  const out = new Array(9).fill(0);
  for (let row = 0; row < 3; row += 1)
    for (let column = 0; column < 3; column += 1)
      for (let k = 0; k < 3; k += 1) out[row * 3 + column] += a[row * 3 + k] * b[k * 3 + column];
  return out;
}

/** Rotation by `degrees` about axis 0 (x), 1 (y) or 2 (z). */
export function about(axis, degrees) {
  const c = Math.cos(degrees * RADIAN);
  const s = Math.sin(degrees * RADIAN);
  if (axis === 0) return [1, 0, 0, 0, c, -s, 0, s, c];
  if (axis === 1) return [c, 0, s, 0, 1, 0, -s, 0, c];
  return [c, -s, 0, s, c, 0, 0, 0, 1];
}

/** R = Rz Ry Rx for angles [x, y, z] in degrees. */
export function fromAngles([x, y, z]) {
  return multiply(about(2, z), multiply(about(1, y), about(0, x)));
}

/** Angles [x, y, z] in degrees with R = Rz Ry Rx; y lies in [-90, 90]. */
export function toAngles(R) {
  const y = Math.asin(Math.max(-1, Math.min(1, -R[6])));
  const locked = Math.abs(R[6]) > 1 - 1e-9;
  const x = locked ? 0 : Math.atan2(R[7], R[8]);
  const z = locked ? Math.atan2(-R[1], R[4]) : Math.atan2(R[3], R[0]);
  return [x / RADIAN, y / RADIAN, z / RADIAN];
}

/** Camera coordinates of a point of the GLB. */
export function apply({ R, t, s }, [x, y, z]) {
  const p = [s[0] * x, s[1] * y, s[2] * z];
  return [0, 1, 2].map((row) => R[row * 3] * p[0] + R[row * 3 + 1] * p[1] + R[row * 3 + 2] * p[2] + t[row]);
}

/** The pose with other R or s, and `pivot` (a point of the GLB) staying where it is. */
export function reshaped(pose, { R = pose.R, s = pose.s }, pivot) {
  const [before, after] = [apply(pose, pivot), apply({ R, t: pose.t, s }, pivot)];
  return { R, t: pose.t.map((value, axis) => value + before[axis] - after[axis]), s };
}

/** The pose turned about a camera axis, `pivot` held. */
export function turned(pose, axis, degrees, pivot) {
  return reshaped(pose, { R: multiply(about(axis, degrees), pose.R) }, pivot);
}

/** The pose turned about the mesh's own axis, `pivot` held. */
export function spun(pose, axis, degrees, pivot) {
  return reshaped(pose, { R: multiply(pose.R, about(axis, degrees)) }, pivot);
}

/** The pose grown by `factor` on all axes of the mesh, or on one (0, 1, 2), `pivot` held. */
export function grown(pose, factor, pivot, axis = null) {
  return reshaped(pose, { s: pose.s.map((value, at) => (axis === null || axis === at ? value * factor : value)) }, pivot);
}

export function moved(pose, by) {
  return { R: pose.R, t: pose.t.map((value, axis) => value + by[axis]), s: pose.s };
}

export function copied({ R, t, s }) {
  return { R: [...R], t: [...t], s: [...s] };
}

/** Whether two poses are the same, number by number. */
export function isSame(a, b) {
  return ["R", "t", "s"].every((name) => a[name].every((value, at) => value === b[name][at]));
}

/** How far b is from a: {degrees, distance (of the middle of the mesh, a point of the GLB), factors (b.s / a.s)}. */
export function apart(a, b, middle) {
  const turn = multiply(b.R, [a.R[0], a.R[3], a.R[6], a.R[1], a.R[4], a.R[7], a.R[2], a.R[5], a.R[8]]);
  const cosine = (turn[0] + turn[4] + turn[8] - 1) / 2;
  const [from, to] = [apply(a, middle), apply(b, middle)];
  return {
    degrees: Math.acos(Math.max(-1, Math.min(1, cosine))) / RADIAN,
    distance: Math.hypot(...to.map((value, at) => value - from[at])),
    factors: b.s.map((value, at) => value / a.s[at]),
  };
}

/** Whether numbers make a pose: finite, positive scales, R orthonormal and right-handed. */
export function isPose({ R, t, s }) {
  if (![R, t, s].every(Array.isArray) || R.length !== 9 || t.length !== 3 || s.length !== 3) return false;
  if (![...R, ...t, ...s].every(Number.isFinite) || s.some((value) => value <= 0)) return false;
  const transposed = [R[0], R[3], R[6], R[1], R[4], R[7], R[2], R[5], R[8]];
  const unit = multiply(R, transposed);
  const determinant =
    R[0] * (R[4] * R[8] - R[5] * R[7]) - R[1] * (R[3] * R[8] - R[5] * R[6]) + R[2] * (R[3] * R[7] - R[4] * R[6]);
  return unit.every((value, at) => Math.abs(value - (at % 4 === 0 ? 1 : 0)) < 1e-3) && determinant > 0;
}
