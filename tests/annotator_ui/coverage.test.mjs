import assert from "node:assert/strict";
import { test } from "node:test";
import { Coverage, PATCHES, patchOf } from "../../annotator_ui/static/annotator_ui/coverage.js";

test("patches have equal areas: evenly spread directions fall evenly", () => {
  const counts = new Array(PATCHES).fill(0);
  const many = 40_000;
  for (let at = 0; at < many; at += 1) {
    // The Fibonacci lattice.
    const y = 1 - (2 * (at + 0.5)) / many;
    const around = at * Math.PI * (3 - Math.sqrt(5));
    counts[patchOf([Math.cos(around) * Math.sqrt(1 - y * y), y, Math.sin(around) * Math.sqrt(1 - y * y)])] += 1;
  }
  for (const count of counts) assert.ok(Math.abs(count / (many / PATCHES) - 1) < 0.03, `${counts}`);
});

test("one turn at one height is a band of the sphere; everything is 1; cleared is 0", () => {
  const seen = new Coverage();
  for (let degrees = 0; degrees < 360; degrees += 5) seen.add([Math.cos((degrees * Math.PI) / 180), 0.2, Math.sin((degrees * Math.PI) / 180)]);
  assert.equal(seen.share, 0.25);
  for (const y of [-0.9, -0.3, 0.3, 0.9])
    for (let degrees = 0; degrees < 360; degrees += 5) seen.add([Math.cos((degrees * Math.PI) / 180) * Math.sqrt(1 - y * y), y, Math.sin((degrees * Math.PI) / 180) * Math.sqrt(1 - y * y)]);
  assert.equal(seen.share, 1);
  seen.clear();
  assert.equal(seen.share, 0);
});

test("poles and no direction at all have a patch", () => {
  for (const direction of [[0, 1, 0], [0, -1, 0], [-1, 0, 0], [-1, 0, -0], [0, 0, 0]]) {
    const patch = patchOf(direction);
    assert.ok(Number.isInteger(patch) && patch >= 0 && patch < PATCHES);
  }
});
