import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOf, moved, over, under, whole, within, zoomed } from "../../annotator_ui/static/annotator_ui/panning.js";

const [photo, canvas] = [[4000, 3000], [800, 600]];

test("the whole photo fits in the middle", () => {
  assert.deepEqual(whole([400, 300], [800, 400]), { scale: 400 / 300, x: (800 - 400 * (400 / 300)) / 2, y: 0 });
});

test("zooming keeps the photo pixel under the pointer", () => {
  const view = whole(photo, canvas);
  const near = zoomed(view, 5, [200, 150], photo, canvas);
  assert.deepEqual(under(near, [200, 150]), under(view, [200, 150]));
  assert.equal(near.scale, view.scale * 5);
});

test("zoom has ends", () => {
  const view = whole(photo, canvas);
  assert.equal(zoomed(view, 1e9, [0, 0], photo, canvas).scale, 32);
  assert.equal(zoomed(view, 1e-9, [0, 0], photo, canvas).scale, view.scale / 2);
});

test("some of the photo stays in sight", () => {
  const view = moved(whole(photo, canvas), [1e6, -1e6], photo, canvas);
  const [right, top] = [over(view, [0, 0])[0], over(view, photo)[1]];
  assert.ok(right < canvas[0] && top > 0);
});

test("a place on the screen and its photo pixel are one", () => {
  const view = { scale: 2.5, x: -13, y: 7 };
  assert.deepEqual(over(view, under(view, [40, 60])), [40, 60]);
});

test("a box is the same from whichever corner it was drawn, and ends at the photo's edge", () => {
  assert.deepEqual(within(boxOf([90, 50], [-5, 4]), [80, 60]), [0, 4, 80, 50]);
});
