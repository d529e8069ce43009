import assert from "node:assert/strict";
import { test } from "node:test";
import { threads } from "../../annotator_ui/static/annotator_ui/pins.js";

test("pins at one point are one thread, numbered by first pinning; the whole mesh comes last", () => {
  const pins = [
    { text: "all", point: null },
    { text: "rim", point: [0, 1, 0] },
    { text: "foot", point: [0, -1, 0] },
    { text: "mended", point: [0, 1, 0] },
  ];
  const found = threads(pins).map(({ number, pins: said }) => [number, said.map(({ text }) => text)]);
  assert.deepEqual(found, [[1, ["rim", "mended"]], [2, ["foot"]], [null, ["all"]]]);
});
