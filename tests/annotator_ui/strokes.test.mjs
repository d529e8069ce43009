import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../../annotator_ui/static/annotator_ui/history.js";
import { Strokes, paint } from "../../annotator_ui/static/annotator_ui/strokes.js";

const square = { kind: "polygon", points: [[0, 0], [9, 0], [9, 9]] };

test("each stroke is one undo step", () => {
  const history = new History();
  const strokes = new Strokes(history);
  strokes.add(square);
  strokes.add({ kind: "brush", points: [[3, 3]], size: 4 });
  history.undo();
  assert.deepEqual(strokes.list, [square]);
});

test("a polygon without area is no stroke", () => {
  const strokes = new Strokes(new History());
  assert.equal(strokes.add({ kind: "polygon", points: [[0, 0], [1, 1]] }), false);
  assert.equal(strokes.list.length, 0);
});

test("clearing can be taken back", () => {
  const history = new History();
  const strokes = new Strokes(history);
  strokes.add(square);
  strokes.clear();
  history.undo();
  assert.equal(strokes.list.length, 1);
});

test("the eraser wipes and the rest fills", () => {
  const calls = [];
  const context = new Proxy({}, {
    get: (_, name) => () => calls.push(name),
    set: (_, name, value) => (name === "globalCompositeOperation" && calls.push(value), true),
  });
  paint(context, [square, { kind: "eraser", points: [[1, 1], [2, 2]], size: 3 }]);
  assert.ok(calls.indexOf("fill") < calls.indexOf("destination-out"));
  assert.ok(calls.indexOf("destination-out") < calls.indexOf("stroke"));
});
