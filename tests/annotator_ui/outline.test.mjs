import assert from "node:assert/strict";
import { test } from "node:test";
import { contour } from "../../annotator_ui/static/annotator_ui/scene/outline.js";

/** Segments as [x0, y0, x1, y1] each. */
const segments = (...given) => {
  const flat = contour(...given);
  return Array.from({ length: flat.length / 4 }, (_, at) => flat.slice(at * 4, at * 4 + 4));
};

test("one pixel has a diamond around its middle, also at the border", () => {
  const found = segments(Uint8Array.of(1), 1, 1);
  assert.equal(found.length, 4);
  for (const [x0, y0, x1, y1] of found)
    for (const [x, y] of [[x0, y0], [x1, y1]]) assert.equal(Math.abs(x - 0.5) + Math.abs(y - 0.5), 0.5);
});

test("every line is closed: each end meets exactly one other", () => {
  const mask = Uint8Array.from("0110110100011110".split("").map(Number));
  const ends = new Map();
  for (const [x0, y0, x1, y1] of segments(mask, 4, 4))
    for (const key of [`${x0} ${y0}`, `${x1} ${y1}`]) ends.set(key, (ends.get(key) ?? 0) + 1);
  assert.ok(ends.size > 10 && [...ends.values()].every((count) => count === 2));
});

test("a hole has a line of its own", () => {
  const mask = new Uint8Array(25).fill(1);
  mask[12] = 0;
  assert.equal(segments(mask, 5, 5).filter((each) => each.every((value) => value > 1 && value < 4)).length, 4);
});
