import assert from "node:assert/strict";
import { test } from "node:test";
import { inMask } from "../../annotator_ui/static/annotator_ui/cloud.js";

const photo = { camera: { fx: 10, fy: 10, cx: 2, cy: 1 }, width: 4, height: 2 };
const at = (u, v, z = 2) => [((u - photo.camera.cx) / 10) * z, ((v - photo.camera.cy) / 10) * z, z, 0, 0, 0];

test("a point is the object's when the pixel that sees it is in the mask", () => {
  const points = Float32Array.from([...at(1, 0), ...at(1.4, 0.4), ...at(1.6, 0), ...at(3, 1), ...at(9, 9), ...at(1, 0, -2)]);
  const mask = { data: Uint8Array.from([0, 1, 0, 0, 0, 0, 0, 1]), width: 4, height: 2 };
  assert.deepEqual([...inMask(points, photo, mask)], [1, 1, 0, 1, 0, 0]);
});

test("a mask of half the photo's size serves too", () => {
  const points = Float32Array.from([...at(0, 0), ...at(1, 1), ...at(2, 0)]);
  assert.deepEqual([...inMask(points, photo, { data: Uint8Array.from([1, 0]), width: 2, height: 1 })], [1, 1, 0]);
});
