import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, held, moved, pinched, zoomed } from "../../annotator_ui/static/annotator_ui/zoom.js";

const PICTURE = [200, 100];
const WINDOW = [400, 400];
const whole = fit([0, 0, ...PICTURE], ...WINDOW);
const shown = (place, [x, y]) => [place.scale * x + place.x, place.scale * y + place.y];

test("the whole picture lies in the middle of its window", () => {
  assert.deepEqual(whole, { scale: 2, x: 0, y: 100 });
});

test("zooming holds what is under the pointer", () => {
  const closer = zoomed(whole, 1.5, [100, 200]);
  assert.deepEqual(shown(closer, [50, 50]), [100, 200]);
  assert.equal(closer.scale, 3);
});

test("a picture cannot be pushed out of its window, nor be made smaller than it", () => {
  assert.deepEqual(held(moved(whole, 5000, -5000), PICTURE, WINDOW), { scale: 2, x: 0, y: 0 });
  assert.equal(held(zoomed(whole, 0.1, [0, 0]), PICTURE, WINDOW).scale, 2);
  const close = held(moved(zoomed(whole, 4, [200, 200]), 9999, 0), PICTURE, WINDOW);
  assert.equal(close.x, 0);
});

test("eight window pixels for one of the picture are enough", () => {
  const place = held(zoomed(whole, 100, [200, 200]), PICTURE, WINDOW);
  assert.equal(place.scale, 8);
  assert.deepEqual(shown(place, [100, 50]), [200, 200]);
});

test("two fingers hold the two points that they touch", () => {
  const before = [[100, 150], [100, 250]];
  const after = [[150, 100], [150, 300]];
  const place = pinched(whole, before, after);
  for (const at of [0, 1]) {
    const point = [(before[at][0] - whole.x) / whole.scale, (before[at][1] - whole.y) / whole.scale];
    assert.deepEqual(shown(place, point), after[at]);
  }
});
