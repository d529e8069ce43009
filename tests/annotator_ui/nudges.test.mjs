import assert from "node:assert/strict";
import { test } from "node:test";
import { nudged } from "../../annotator_ui/static/annotator_ui/nudges.js";
import { ALIGN } from "../../annotator_ui/static/annotator_ui/keys.js";
import { apart, apply, fromAngles, isPose, isSame } from "../../annotator_ui/static/annotator_ui/poses.js";

const pose = { R: fromAngles([20, -35, 110]), t: [0.1, -0.2, 2.5], s: [0.4, 0.5, 0.6] };
const options = { size: 2, pivot: [0.3, 0.2, -0.1] };
const near = (a, b, by = 1e-9) => a.forEach((value, at) => assert.ok(Math.abs(value - b[at]) < by, `${a} != ${b}`));

test("a coarse step is ten fine ones", () => {
  near(nudged(pose, "x+", options).t, [0.14, -0.2, 2.5]);
  near(nudged(pose, "z-", { ...options, fine: true }).t, [0.1, -0.2, 2.496]);
});

test("turns and scales hold the pivot, and the opposite key leads back", () => {
  for (const [there, back] of [["yaw+", "yaw-"], ["pitch-", "pitch+"], ["roll+", "roll-"], ["grow", "shrink"]]) {
    const moved = nudged(pose, there, options);
    near(apply(moved, options.pivot), apply(pose, options.pivot));
    const again = nudged(moved, back, options);
    for (const name of ["R", "t", "s"]) near(again[name], pose[name]);
  }
});

test("one axis is scaled alone", () => {
  near(nudged(pose, "grow", { ...options, axis: 1 }).s, [0.4, 0.51, 0.6]);
});

test("four quarter turns about the mesh's own axis come round", () => {
  for (const axis of ["x", "y", "z"]) {
    let turned = pose;
    for (let go = 0; go < 4; go += 1) turned = nudged(turned, `quarter-${axis}`, options);
    near(turned.R, pose.R, 1e-9);
    const once = nudged(pose, `quarter-${axis}`, options);
    const column = "xyz".indexOf(axis);
    near([0, 1, 2].map((row) => once.R[row * 3 + column]), [0, 1, 2].map((row) => pose.R[row * 3 + column]));
    assert.ok(isPose(once));
  }
});

test("an action of another kind is no nudge", () => {
  for (const action of ["undo", "photo", "submit", "mesh"]) assert.equal(nudged(pose, action, options), null);
  assert.ok(ALIGN.filter(({ fine }) => fine).every(({ action }) => nudged(pose, action, options)));
});

test("how far two poses are apart is told in degrees, distance and factors", () => {
  const moved = nudged(nudged(pose, "yaw+", options), "grow", options);
  const found = apart(pose, moved, options.pivot);
  assert.ok(Math.abs(found.degrees - 5) < 1e-6 && found.distance < 1e-9);
  near(found.factors, [1.02, 1.02, 1.02]);
  assert.equal(isSame(pose, moved), false);
  assert.equal(isSame(pose, { ...pose }), true);
});
