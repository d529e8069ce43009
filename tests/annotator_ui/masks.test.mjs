import assert from "node:assert/strict";
import { test } from "node:test";
import { box, filled, iou, polygons, simplified, swept } from "../../annotator_ui/static/annotator_ui/masks.js";

const mask = (rows) => Uint8Array.from(rows.join("").split("").map(Number));

test("overlap of masks is intersection over union", () => {
  assert.equal(iou(mask(["1100"]), mask(["0110"])), 1 / 3);
  assert.equal(iou(mask(["0000"]), mask(["0000"])), 1);
});

test("the box holds the mask", () => {
  assert.deepEqual(box(mask(["0000", "0110", "0010"]), 4, 3), [1, 1, 3, 3]);
  assert.equal(box(mask(["0000"]), 4, 1), null);
});

test("a rectangle is outlined by its four corners", () => {
  assert.deepEqual(polygons(mask(["0000", "0110", "0110", "0000"]), 4, 4, { least: 1 }), [[[1, 1], [3, 1], [3, 3], [1, 3]]]);
});

test("parts that touch at a corner are two polygons", () => {
  assert.equal(polygons(mask(["1100", "1100", "0011", "0011"]), 4, 4, { least: 1 }).length, 2);
});

test("outlines filled again are the mask, holes and islands too", () => {
  const shapes = [
    ["00000000", "01111000", "01001110", "01111110", "00011000", "00000000"],
    ["11111110", "10000010", "10111010", "10101010", "10111010", "11111110"],
    ["11110000", "10010000", "10001100", "11110100", "00011100", "00000000"],
    ["01010101", "10101010", "01110111", "01010101", "01110111", "00000000"],
  ];
  for (const rows of shapes) {
    const outlines = polygons(mask(rows), 8, 6, { least: 1 });
    const filled = rows.join("").split("").map((_, at) => outlines.some((outline) => inside(outline, (at % 8) + 0.5, Math.floor(at / 8) + 0.5)));
    assert.deepEqual(filled.map(Number), [...mask(rows)]);
  }
});

test("small holes are filled", () => {
  assert.deepEqual(polygons(mask(["111", "101", "111"]), 3, 3, { least: 2 }), [[[0, 0], [3, 0], [3, 3], [0, 3]]]);
});

test("specks are left out", () => {
  assert.deepEqual(polygons(mask(["1000", "0000"]), 4, 2, { least: 2 }), []);
});

test("the end of a row and the start of the next are not neighbours", () => {
  const rows = mask(["0001", "1000", "0000"]);
  assert.equal(polygons(rows, 4, 3, { least: 1 }).length, 2);
  assert.deepEqual(filled(mask(["1110", "1010", "1110"]), 4, 3), mask(["1110", "1110", "1110"]));
  assert.deepEqual(filled(mask(["1110", "0110", "1110"]), 4, 3), mask(["1110", "0110", "1110"]));
});

test("a staircase becomes a straight edge and stays within a pixel", () => {
  const stairs = [];
  for (let at = 0; at < 50; at += 1) stairs.push([at, at], [at + 1, at]);
  const thin = simplified([...stairs, [50, 50], [0, 50]]);
  assert.ok(thin.length <= 6, `${thin.length} corners left`);
  assert.ok(thin.every(([x, y]) => x >= 0 && y >= 0 && x <= 50 && y <= 50));
});

function inside(corners, x, y) {
  let odd = false;
  corners.forEach(([x0, y0], at) => {
    const [x1, y1] = corners[(at + 1) % corners.length];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) odd = !odd;
  });
  return odd;
}

test("holes are filled and specks dropped, the rest stays", () => {
  const rows = ["1111100", "1000100", "1010101", "1111100"];
  assert.deepEqual([...filled(mask(rows), 7, 4)], [...mask(["1111100", "1111100", "1111101", "1111100"])]);
  assert.deepEqual([...swept(mask(rows), 7, 4, 0.2)], [...mask(["1111100", "1000100", "1010100", "1111100"])]);
});

test("outlines of a part in a corner of a big mask lie where it is, fast", () => {
  const [width, height] = [2048, 1536];
  const big = new Uint8Array(width * height);
  for (let y = 1500; y < 1536; y += 1) big.fill(1, y * width + 2000, (y + 1) * width);
  const started = performance.now();
  assert.deepEqual(polygons(big, width, height), [[[2000, 1500], [2048, 1500], [2048, 1536], [2000, 1536]]]);
  assert.ok(performance.now() - started < 1000);
});

test("a part of a few pixels stays a polygon", () => {
  for (const rows of [["110", "011", "001"], ["111", "010", "000"]]) assert.ok(polygons(mask(rows), 3, 3, { least: 1, by: 0.8 })[0].length >= 3);
});
