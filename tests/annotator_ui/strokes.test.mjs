import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../../annotator_ui/static/annotator_ui/history.js";
import { polygons } from "../../annotator_ui/static/annotator_ui/masks.js";
import { Drawing, Raster, Strokes } from "../../annotator_ui/static/annotator_ui/strokes.js";

const square = { kind: "polygon", points: [[2, 2], [6, 2], [6, 6], [2, 6]] };
const rows = ({ data, width }) => Array.from({ length: data.length / width }, (_, y) => data.slice(y * width, (y + 1) * width).join(""));
const area = ({ data }) => data.reduce((sum, value) => sum + value, 0);
const reply = (x0, y0, x1, y1) => [[x0, y0, x1, y0, x1, y1, x0, y1]];

function desk(width = 8, height = 8) {
  const drawing = new Drawing(width, height);
  drawing.start(null);
  const strokes = new Strokes(new History(), () => drawing.show(strokes.list));
  return { drawing, strokes, raster: drawing.raster };
}

test("each edit is one undo step, and the raster follows both ways", () => {
  const { strokes, raster } = desk();
  strokes.add(square);
  strokes.add({ kind: "eraser", points: [[4, 4]], size: 2 });
  assert.equal(area(raster), 12);
  strokes.history.undo();
  assert.equal(area(raster), 16);
  strokes.history.undo();
  assert.equal(area(raster), 0);
  strokes.history.redo();
  strokes.history.redo();
  assert.equal(area(raster), 12);
});

test("a polygon without area is no edit", () => {
  const { strokes } = desk();
  assert.equal(strokes.add({ kind: "polygon", points: [[0, 0], [1, 1]] }), false);
  assert.equal(strokes.list.length, 0);
});

test("a polygon covers the pixels whose centres it holds, and cuts them away again", () => {
  const { strokes, raster } = desk(4, 3);
  strokes.add({ kind: "polygon", points: [[0.6, 0], [4, 0], [4, 3], [0.6, 3]] });
  assert.deepEqual(rows(raster), ["0111", "0111", "0111"]);
  strokes.add({ kind: "polygon", points: [[2, 1], [4, 1], [4, 2], [2, 2]], cut: true });
  assert.deepEqual(rows(raster), ["0111", "0100", "0111"]);
});

test("outlines of a mask with a hole fill it again exactly", () => {
  const mask = new Raster(40, 30);
  mask.brush([8, 8], [30, 20], 14, 1);
  mask.brush([20, 14], [20, 14], 6, 0);
  const again = new Raster(40, 30);
  for (const corners of polygons(mask.data, 40, 30, { least: 1 })) again.polygon(corners.flat(), 1);
  assert.deepEqual(rows(again), rows(mask));
});

test("a stroke painted as it comes is the same as the stroke painted at once", () => {
  const points = [[5, 5], [20, 9], [33.3, 21.7], [8, 25]];
  const { drawing, strokes, raster } = desk(40, 30);
  const stroke = { kind: "brush", points: [], size: 7 };
  for (const point of points) {
    stroke.points.push(point);
    drawing.live(stroke);
  }
  const live = rows(raster);
  strokes.add(stroke);
  assert.deepEqual(rows(raster), live);
  drawing.repaint(strokes.list);
  assert.deepEqual(rows(raster), live);
});

test("a big photo is drawn on at most 2048 pixels, and places stay its own", () => {
  const { raster } = new Drawing(4096, 3072);
  assert.deepEqual([raster.width, raster.height, raster.scale], [2048, 1536, 0.5]);
  raster.polygon([1000, 1000, 1100, 1000, 1100, 1100, 1000, 1100], 1);
  assert.deepEqual(raster.takeDirty(), [500, 500, 550, 550]);
});

test("a corrected reply changes only where it differs, so that work by hand stays", () => {
  const { drawing, strokes, raster } = desk(10, 1);
  const first = { kind: "click", at: [2, 0], positive: true, polygons: reply(0, 0, 6, 1) };
  strokes.add(first);
  strokes.add({ kind: "eraser", points: [[1.5, 0.5]], size: 1 });
  const second = { kind: "click", at: [8, 0], positive: true, polygons: null };
  strokes.add(second);
  second.polygons = reply(0, 0, 9, 1);
  drawing.answered(second, strokes.list);
  assert.deepEqual(rows(raster), ["1011111110"]);
  strokes.history.undo();
  assert.deepEqual(rows(raster), ["1011110000"]);
});

test("a reply that comes after a later stroke lies under it", () => {
  const { drawing, strokes, raster } = desk(10, 1);
  const click = { kind: "click", at: [2, 0], positive: true, polygons: null };
  strokes.add(click);
  strokes.add({ kind: "eraser", points: [[1.5, 0.5]], size: 1 });
  click.polygons = reply(0, 0, 4, 1);
  drawing.answered(click, strokes.list);
  assert.deepEqual(rows(raster), ["1011000000"]);
});

test("an imported mask lies under the edits and comes back with undo", () => {
  const { drawing, strokes, raster } = desk(4, 1);
  drawing.start(Uint8Array.from([1, 1, 0, 0]));
  strokes.add({ kind: "clear" });
  assert.equal(area(raster), 0);
  strokes.history.undo();
  assert.deepEqual(rows(raster), ["1100"]);
});

test("polygons of a draft are what lies under the edits", () => {
  const { drawing, raster } = desk(10, 1);
  drawing.startFrom([...reply(0, 0, 2, 1), ...reply(5, 0, 7, 1)]);
  assert.deepEqual(rows(raster), ["1100011000"]);
});

test("what is drawn leaves as polygons of the photo's own pixels", () => {
  const drawing = new Drawing(4096, 64);
  drawing.start(null);
  drawing.raster.polygon([100, 20, 200, 20, 200, 40, 100, 40], 1);
  assert.deepEqual(drawing.outlines(), [[100, 20, 200, 20, 200, 40, 100, 40]]);
});

test("only what has changed is handed to the screen", () => {
  const { strokes, raster } = desk(100, 100);
  raster.takeDirty();
  strokes.add({ kind: "brush", points: [[50, 50]], size: 10 });
  assert.deepEqual(raster.takeDirty(), [45, 45, 55, 55]);
  assert.equal(raster.takeDirty(), null);
});
