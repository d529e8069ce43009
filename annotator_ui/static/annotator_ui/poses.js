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

/** The pose grown by `factor`, `pivot` held. */
export function grown(pose, factor, pivot) {
  return reshaped(pose, { s: pose.s.map((value) => value * factor) }, pivot);
}

export function moved(pose, by) {
  return { R: pose.R, t: pose.t.map((value, axis) => value + by[axis]), s: pose.s };
}

export function copied({ R, t, s }) {
  return { R: [...R], t: [...t], s: [...s] };
}

/** Whether numbers make a pose: finite, positive scales, R orthonormal and right-handed. */
export function isPose({ R, t, s }) {
  if (R.length !== 9 || t.length !== 3 || s.length !== 3) return false;
  if (![...R, ...t, ...s].every(Number.isFinite) || s.some((value) => value <= 0)) return false;
  const transposed = [R[0], R[3], R[6], R[1], R[4], R[7], R[2], R[5], R[8]];
  const unit = multiply(R, transposed);
  const determinant =
    R[0] * (R[4] * R[8] - R[5] * R[7]) - R[1] * (R[3] * R[8] - R[5] * R[6]) + R[2] * (R[3] * R[7] - R[4] * R[6]);
  return unit.every((value, at) => Math.abs(value - (at % 4 === 0 ? 1 : 0)) < 1e-3) && determinant > 0;
}
