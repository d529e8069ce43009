import assert from "node:assert/strict";
import { test } from "node:test";
import { ALIGN, COMPARE, GRID, RATE, SCALE, SELECT, find, written } from "../../annotator_ui/static/annotator_ui/keys.js";

const event = (key, extra = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...extra });

test("every key of a table means one thing", () => {
  for (const table of [COMPARE, GRID, RATE, SCALE, ALIGN, SELECT]) {
    const keys = table.flatMap((entry) => entry.keys);
    assert.equal(new Set(keys).size, keys.length);
  }
});

test("answers have a digit and a letter", () => {
  assert.equal(find(COMPARE, event("1")).action, "left");
  assert.equal(find(COMPARE, event("D", { shiftKey: false })).action, "right");
  assert.equal(find(COMPARE, event("z")).action, "undo");
  assert.equal(find(COMPARE, event("9")).action, "chip");
  assert.equal(find(COMPARE, event("y")), null);
});

test("Shift makes a nudge fine", () => {
  assert.deepEqual(find(ALIGN, event("ArrowLeft", { shiftKey: true })), { action: "x-", key: "shift+arrowleft", fine: true });
  assert.equal(find(ALIGN, event("_", { shiftKey: true })).action, "shrink");
  assert.equal(find(ALIGN, event("Z", { ctrlKey: true, shiftKey: true })).action, "redo");
});

test("every entry can be listed", () => {
  for (const entry of [...COMPARE, ...GRID, ...RATE, ...SCALE, ...ALIGN, ...SELECT]) assert.ok(entry.label && written(entry).every(Boolean));
  assert.deepEqual(written({ keys: ["ctrl+z"] }), ["Ctrl Z"]);
  assert.deepEqual(written({ keys: ["+"] }), ["+"]);
});
