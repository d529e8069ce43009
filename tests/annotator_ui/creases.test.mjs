import assert from "node:assert/strict";
import { test } from "node:test";
import { creases, welded, wires } from "../../annotator_ui/static/annotator_ui/creases.js";

/** A cube of 12 triangles, each face with four vertices of its own. */
function cube() {
  const positions = [];
  const index = [];
  for (let axis = 0; axis < 3; axis += 1)
    for (const side of [0, 1]) {
      const first = positions.length / 3;
      for (const [u, v] of [[0, 0], [1, 0], [1, 1], [0, 1]]) {
        const corner = [0, 0, 0];
        [corner[axis], corner[(axis + 1) % 3], corner[(axis + 2) % 3]] = [side, u, v];
        positions.push(...corner);
      }
      const turn = side ? [0, 1, 2, 0, 2, 3] : [0, 2, 1, 0, 3, 2];
      index.push(...turn.map((corner) => first + corner));
    }
  return [new Float32Array(positions), new Uint32Array(index)];
}

test("vertices at one place count as one", () => {
  const [positions] = cube();
  assert.equal(new Set(welded(positions)).size, 8);
});

test("a cube has twelve creases, and eighteen edges with its diagonals", () => {
  assert.equal(creases(...cube()).length / 2, 12);
  assert.equal(wires(...cube()).length / 2, 18);
});

test("an edge that only one face has is drawn, a flat one between two is not", () => {
  const positions = new Float32Array([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0]);
  const found = creases(positions, new Uint32Array([0, 1, 2, 0, 2, 3]));
  assert.equal(found.length / 2, 4);
});

test("triangles without area break nothing", () => {
  assert.equal(wires(new Float32Array([0, 0, 0, 1, 0, 0, 1, 0, 0]), new Uint32Array([0, 1, 2, 0, 0, 0])).length / 2, 1);
});
