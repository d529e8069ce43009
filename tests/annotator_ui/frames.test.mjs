import assert from "node:assert/strict";
import { test } from "node:test";
import { Matrix4, Vector3, Vector4 } from "three";
import { apply, fromAngles } from "../../annotator_ui/static/annotator_ui/poses.js";
import { flip, intrinsicsToProjection, objectToPose, poseToObject } from "../../annotator_ui/static/annotator_ui/scene/frames.js";

const pose = { R: fromAngles([20, -35, 110]), t: [0.1, -0.2, 2.5], s: [0.4, 0.5, 0.6] };
const near = (a, b, by = 1e-6) => a.forEach((value, at) => assert.ok(Math.abs(value - b[at]) < by, `${a} != ${b}`));

test("a point lies where the stored pose says, seen from three's camera", () => {
  const { position, quaternion, scale } = poseToObject(pose);
  const point = [0.3, -0.7, 0.2];
  const seen = new Vector3(...point).applyMatrix4(new Matrix4().compose(position, quaternion, scale));
  near(seen.toArray(), flip(apply(pose, point)));
});

test("a pose survives the way to three and back", () => {
  const back = objectToPose(poseToObject(pose));
  near(back.R, pose.R);
  near(back.t, pose.t);
  near(back.s, pose.s);
});

test("a point lands on the pixel that the intrinsics give, whose centre is half a pixel from its corner", () => {
  const camera = { fx: 620, fy: 610, cx: 300, cy: 260 };
  const [x, y, z] = [0.2, -0.3, 1.7];
  const clip = new Vector4(...flip([x, y, z]), 1).applyMatrix4(intrinsicsToProjection(camera, 640, 480, 0.1, 10));
  const pixel = [((clip.x / clip.w + 1) / 2) * 640, ((1 - clip.y / clip.w) / 2) * 480];
  near(pixel, [(camera.fx * x) / z + camera.cx + 0.5, (camera.fy * y) / z + camera.cy + 0.5], 1e-4);
  assert.ok(Math.abs(clip.z / clip.w) <= 1);
});
