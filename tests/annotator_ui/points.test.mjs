import assert from "node:assert/strict";
import { test } from "node:test";
import { splitPoints, trimmed } from "../../annotator_ui/static/annotator_ui/scene/points.js";

test("every point comes once, turned into three's frame, its colour in linear light", () => {
  const values = Float32Array.from({ length: 6 * 10 }, (_, at) => [Math.floor(at / 6), 2, 3, 0.5, 1, 0][at % 6]);
  const { positions, colours } = splitPoints(values);
  const found = Array.from({ length: 10 }, (_, at) => positions[at * 3]).sort((a, b) => a - b);
  assert.deepEqual(found, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual([...positions.slice(1, 3)], [-2, -3]);
  assert.ok(Math.abs(colours[0] - 0.5 ** 2.2) < 1e-6 && colours[1] === 1 && colours[2] === 0);
});

test("the first tenth of the points lies everywhere", () => {
  const count = 1000;
  const { positions } = splitPoints(Float32Array.from({ length: 6 * count }, (_, at) => (at % 6 ? 1 : at / 6)));
  const bins = new Array(10).fill(0);
  for (let at = 0; at < count / 10; at += 1) bins[Math.floor(positions[at * 3] / (count / 10))] += 1;
  assert.ok(Math.max(...bins) - Math.min(...bins) <= 5, `${bins}`);
});

test("the box of points leaves the strays out", () => {
  const own = Array.from({ length: 300 }, (_, at) => [at / 100, 0, at === 7 ? 99 : -1]).flat();
  const box = trimmed(own);
  assert.equal(box.max.z, -1);
  assert.ok(box.min.x < 0.05 && box.max.x > 2.9);
});
