import assert from "node:assert/strict";
import { test } from "node:test";
import { dropped, ground, upright } from "../../annotator_ui/static/annotator_ui/ground.js";
import { about, apply, isPose, multiply } from "../../annotator_ui/static/annotator_ui/poses.js";

const near = (a, b, by) => a.forEach((value, at) => assert.ok(Math.abs(value - b[at]) < by, `${a} != ${b}`));

/** Numbers in [0, 1) that are the same each time. */
function dice(seed = 1) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

/** A table that leans by `degrees` away from the camera with a ball on it, a wall behind, and a tenth of stray points. */
function scene(degrees, noise = 0.002) {
  const random = dice();
  const tilt = about(0, degrees);
  const points = [];
  const inside = [];
  const add = (p, own) => {
    points.push(...apply({ R: tilt, t: [0, 0, 2], s: [1, 1, 1] }, p), 0.5, 0.5, 0.5);
    inside.push(own ? 1 : 0);
  };
  const jitter = () => (random() + random() + random() - 1.5) * 2 * noise;
  for (let at = 0; at < 3000; at += 1) add([random() * 2 - 1, 0.2 + jitter(), random() * 2 - 1], false);
  for (let at = 0; at < 1500; at += 1) add([random() * 2 - 1, random() * 1.2 - 1, 1 + jitter()], false);
  for (let at = 0; at < 400; at += 1) add([random() - 0.5, random() - 0.8, random() - 0.5], false);
  for (let at = 0; at < 800; at += 1) {
    const [y, around] = [random() * 2 - 1, random() * 2 * Math.PI];
    const r = Math.sqrt(1 - y * y);
    add([0.2 * r * Math.cos(around), 0.2 * y, -0.2 * Math.abs(r * Math.sin(around))], true);
  }
  return { points: Float32Array.from(points), inside: Uint8Array.from(inside), normal: [-tilt[1], -tilt[4], -tilt[7]] };
}

for (const degrees of [0, 20, 40])
  test(`the table is found, not the wall, under a camera that looks down by ${degrees} degrees`, () => {
    const { points, inside, normal } = scene(degrees);
    const found = ground(points, inside);
    const off = (Math.acos(Math.min(1, found.normal.reduce((sum, value, at) => sum + value * normal[at], 0))) * 180) / Math.PI;
    assert.ok(off < 0.5, `${off} degrees`);
    const foot = apply({ R: about(0, degrees), t: [0, 0, 2], s: [1, 1, 1] }, [0, 0.2, 0]);
    assert.ok(Math.abs(found.height - foot.reduce((sum, value, at) => sum + value * normal[at], 0)) < 0.003);
    assert.ok(found.share > 0.3 && found.share < 1);
  });

test("the same points give the same plane", () => {
  const { points, inside } = scene(25);
  assert.deepEqual(ground(points, inside), ground(points, inside));
});

test("without a plane there is none", () => {
  const random = dice(7);
  const points = Float32Array.from({ length: 6 * 400 }, (_, at) => (at % 6 === 2 ? 2 + random() : random()));
  const inside = Uint8Array.from({ length: 400 }, (_, at) => (at < 50 ? 1 : 0));
  assert.equal(ground(points, inside), null);
  assert.equal(ground(new Float32Array(60), new Uint8Array(10)), null);
});

test("a dropped mesh touches the plane with its lowest vertex", () => {
  const plane = { normal: [0, -1, 0], height: -1.5 };
  const pose = { R: multiply(about(0, 160), about(2, 30)), t: [0.1, 0.2, 3], s: [0.5, 0.7, 0.5] };
  const corners = Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7].flatMap((at) => [at & 1, (at >> 1) & 1, (at >> 2) & 1]));
  const made = dropped(pose, corners, plane);
  const heights = Array.from({ length: 8 }, (_, at) => -apply(made, corners.slice(at * 3, at * 3 + 3))[1]);
  assert.ok(Math.abs(Math.min(...heights) + 1.5) < 1e-6);
  near([made.t[0], made.t[2]], [0.1, 3], 1e-9);
});

test("an upright mesh has its y axis along the normal, by the shortest turn", () => {
  const normal = [-0.1, -0.9, -0.4].map((value) => value / Math.hypot(0.1, 0.9, 0.4));
  for (const R of [about(0, 180), about(0, 150), multiply(about(1, 70), about(2, 200)), about(0, 0)]) {
    const turned = upright({ R }, { normal });
    near([turned[1], turned[4], turned[7]], normal, 1e-9);
    assert.ok(isPose({ R: turned, t: [0, 0, 1], s: [1, 1, 1] }));
  }
  near(upright({ R: about(0, 180) }, { normal: [0, -1, 0] }), about(0, 180), 1e-9);
  assert.ok(isPose({ R: upright({ R: about(0, 0) }, { normal: [0, -1, 0] }), t: [0, 0, 1], s: [1, 1, 1] }));
});
