import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, fromAngles, grown, isPose, moved, toAngles, turned } from "../../annotator_ui/static/annotator_ui/poses.js";

const near = (a, b, by = 1e-9) => a.forEach((value, at) => assert.ok(Math.abs(value - b[at]) < by, `${a} != ${b}`));
const pose = { R: fromAngles([20, -35, 110]), t: [0.1, -0.2, 2.5], s: [0.4, 0.5, 0.6] };

test("angles survive the way through a matrix", () => {
  for (const angles of [[0, 0, 0], [20, -35, 110], [-170, 60, 5]]) near(toAngles(fromAngles(angles)), angles, 1e-6);
});

test("angles at the pole still give the same rotation", () => {
  const R = fromAngles([30, 90, 10]);
  near(fromAngles(toAngles(R)), R, 1e-6);
});

test("turning and growing hold the pivot", () => {
  const pivot = [0.3, 0.2, -0.1];
  near(apply(turned(pose, 1, 25, pivot), pivot), apply(pose, pivot));
  near(apply(grown(pose, 1.3, pivot), pivot), apply(pose, pivot));
});

test("a move shifts every point", () => {
  near(apply(moved(pose, [1, 2, 3]), [1, 1, 1]), apply(pose, [1, 1, 1]).map((value, at) => value + at + 1));
});

test("mirrored, stretched or unfinished numbers are no pose", () => {
  assert.equal(isPose(pose), true);
  assert.equal(isPose({ ...pose, s: [1, 0, 1] }), false);
  assert.equal(isPose({ ...pose, t: [0, 0, Number.NaN] }), false);
  assert.equal(isPose({ ...pose, R: pose.R.map((value) => -value) }), false);
});
