import assert from "node:assert/strict";
import { test } from "node:test";
import { History, change } from "../../annotator_ui/static/annotator_ui/history.js";

function desk() {
  const state = { value: 0 };
  const history = new History();
  const to = (after, merge) => history.run(change("set", (value) => (state.value = value), state.value, after, merge));
  return { state, history, to };
}

test("undo and redo walk through the edits", () => {
  const { state, history, to } = desk();
  to(1);
  to(2);
  history.undo();
  assert.equal(state.value, 1);
  history.redo();
  assert.equal(state.value, 2);
});

test("edits of one drag are one step", () => {
  const { state, history, to } = desk();
  to(1, "drag");
  to(2, "drag");
  to(3, "drag");
  history.undo();
  assert.equal(state.value, 0);
  assert.equal(history.canUndo, false);
});

test("a new edit forgets what was undone", () => {
  const { history, to } = desk();
  to(1);
  history.undo();
  to(5);
  assert.equal(history.redo(), false);
});
