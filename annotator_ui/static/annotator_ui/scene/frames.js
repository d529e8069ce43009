// Borders between frames. Stored: p_cam = R diag(s) p_glb + t in the OpenCV camera (x right, y down, z forward).
// three looks along -z with y up, so its camera frame is the OpenCV one turned by 180 degrees about x.

import { Matrix4, Quaternion, Vector3 } from "three";

/** OpenCV camera point [x, y, z] as three sees it; the same map leads back. */
export function flip([x, y, z]) {
  return [x, -y, -z];
}

/** A stored pose as {position, quaternion, scale} of an object that holds the GLB, in three's camera frame. */
export function poseToObject({ R, t, s }) {
  const turn = new Matrix4().set(
    R[0], R[1], R[2], 0,
    -R[3], -R[4], -R[5], 0,
    -R[6], -R[7], -R[8], 0,
    0, 0, 0, 1,
  );
  return {
    position: new Vector3(...flip(t)),
    quaternion: new Quaternion().setFromRotationMatrix(turn),
    scale: new Vector3(...s),
  };
}

/** The stored pose of an object placed in three's camera frame; the way back of poseToObject. */
export function objectToPose({ position, quaternion, scale }) {
  const m = new Matrix4().makeRotationFromQuaternion(quaternion).elements;
  return {
    R: [m[0], m[4], m[8], -m[1], -m[5], -m[9], -m[2], -m[6], -m[10]],
    t: flip(position.toArray()),
    s: scale.toArray(),
  };
}

/** three's projection matrix of a pinhole camera {fx, fy, cx, cy} in pixels of a width x height image, from near to far.
 *  Pixel centres are at integer coordinates, so the image spans -0.5 to width - 0.5. */
export function intrinsicsToProjection({ fx, fy, cx, cy }, width, height, near, far) {
  return new Matrix4().set(
    (2 * fx) / width, 0, 1 - (2 * (cx + 0.5)) / width, 0,
    0, (2 * fy) / height, (2 * (cy + 0.5)) / height - 1, 0,
    0, 0, -(far + near) / (far - near), (-2 * far * near) / (far - near),
    0, 0, -1, 0,
  );
}

/** The camera of a window {x, y, width, height} of the image (in its pixels, from its top left corner), drawn `scale` times as large. */
export function cropped({ fx, fy, cx, cy }, { x, y }, scale) {
  return { fx: fx * scale, fy: fy * scale, cx: (cx + 0.5 - x) * scale - 0.5, cy: (cy + 0.5 - y) * scale - 0.5 };
}
