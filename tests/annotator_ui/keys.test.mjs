import assert from "node:assert/strict";
import { test } from "node:test";
import { ALIGN, COMPARE, DESK, RATE, TABLES, conflicts, find, personalise, written } from "../../annotator_ui/static/annotator_ui/keys.js";

const event = (key, extra = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...extra });

test("every key of a table means one thing, also beside the keys of every work page", () => {
  for (const { name, table } of TABLES) {
    const keys = [...table, ...(name === "desk" || name === "practice" ? [] : DESK)].flatMap((entry) => entry.keys);
    assert.deepEqual(keys.filter((key, at) => keys.indexOf(key) !== at), [], name);
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
  for (const entry of TABLES.flatMap(({ table }) => table)) assert.ok(entry.label && written(entry).every(Boolean));
  assert.deepEqual(written({ keys: ["ctrl+z"] }), ["Ctrl Z"]);
  assert.deepEqual(written({ keys: ["+"] }), ["+"]);
});

test("a person's own keys take the place of the table's, and go again", () => {
  personalise({ compare: { left: ["q"] } });
  assert.equal(find(COMPARE, event("q")).action, "left");
  assert.equal(find(COMPARE, event("1")), null);
  assert.deepEqual(written(COMPARE.find(({ action }) => action === "left")), ["Q"]);
  personalise({});
  assert.equal(find(COMPARE, event("1")).action, "left");
  assert.equal(find(COMPARE, event("q")), null);
});

test("a range of keys stays as it is", () => {
  personalise({ rate: { digit: ["q"] } });
  assert.equal(find(RATE, event("7")).action, "digit");
  personalise({});
});

test("a key that another action has is named, in the table and in the one that all share", () => {
  assert.deepEqual(conflicts("compare", "left", "2").map(({ label }) => label), ["Right is better"]);
  assert.deepEqual(conflicts("compare", "left", "1"), []);
  assert.deepEqual(conflicts("align", "grow", "?").map(({ table }) => table), ["Every work page"]);
  assert.ok(conflicts("desk", "problem", "1").length > 0);
});
