import assert from "node:assert/strict";
import { test } from "node:test";
import { ActiveClock } from "../../annotator_ui/static/annotator_ui/active.js";

function clock() {
  const time = { now: 0 };
  return { time, active: new ActiveClock(() => time.now) };
}

test("time between signs of activity counts", () => {
  const { time, active } = clock();
  time.now = 3000;
  active.touch();
  time.now = 5000;
  assert.equal(active.take(), 5000);
  assert.equal(active.take(), 0);
});

test("a long pause does not count", () => {
  const { time, active } = clock();
  time.now = 100_000;
  active.touch();
  time.now = 101_000;
  assert.equal(active.take(), 1000);
});

test("time behind another window does not count", () => {
  const { time, active } = clock();
  time.now = 1000;
  active.show(false);
  time.now = 20_000;
  active.show(true);
  time.now = 22_000;
  assert.equal(active.take(), 3000);
});
