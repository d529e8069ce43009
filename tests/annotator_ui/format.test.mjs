import assert from "node:assert/strict";
import { test } from "node:test";
import { counts, number, seconds, size, when } from "../../annotator_ui/static/annotator_ui/format.js";

test("numbers are short", () => {
  assert.equal(number(0.123456), "0.123");
  assert.equal(number(1234567), "1,234,567");
  assert.equal(number(null), "–");
});

test("sizes and times have units", () => {
  assert.equal(size(999), "999 B");
  assert.equal(size(1_500_000), "1.50 MB");
  assert.equal(seconds(61_000), "1 min 1 s");
});

test("dates are in UTC to the minute", () => {
  assert.equal(when("2026-03-01T10:20:30+00:00"), "2026-03-01 10:20");
});

test("counts read as words", () => {
  assert.equal(counts({ samples_by_stage: { align: 2 }, done: 1 }), "samples by stage (align 2), done 1");
});
