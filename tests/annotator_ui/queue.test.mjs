import assert from "node:assert/strict";
import { test } from "node:test";
import { countOf, modelsOf, pageOf, stripsOf, verdictOf } from "../../annotator_ui/static/annotator_ui/queue.js";

test("each stage has its page", () => {
  assert.equal(pageOf({ stage: "align", id: 4 }), "/align/?assignment=4");
  assert.throws(() => pageOf({ stage: "review", id: 4 }), /no page/);
});

test("the count names the comparison on screen", () => {
  assert.equal(countOf({ done: 3, total: 7 }), "4 of 7");
  assert.equal(countOf({ done: 7, total: 7 }), "7 of 7");
});

test("meshes on screen load first and none loads twice", () => {
  const [a, b, c] = ["a", "b", "c"].map((key) => ({ key, model_url: `/${key}.glb` }));
  assert.deepEqual(modelsOf({ compare: { step: { left: b, right: a }, candidates: [a, b, c] } }), ["/b.glb", "/a.glb", "/c.glb"]);
});

test("while the grid is up its pictures are wanted, not meshes", () => {
  const [a, b] = [{ model_url: "/a.glb", turntable_url: "/a.png" }, { model_url: "/b.glb", turntable_url: null, thumbnail_url: "/b.png" }];
  const compare = { picking: true, step: null, candidates: [a, b] };
  assert.deepEqual(modelsOf({ compare }), []);
  assert.deepEqual(stripsOf({ compare }), ["/a.png", "/b.png"]);
  assert.deepEqual(stripsOf({ compare: { ...compare, picking: false } }), []);
});

test("a rating on the bar reaches it", () => {
  assert.equal(verdictOf(0.5, 0.5), "reaches the bar of 0.5");
  assert.equal(verdictOf(0.45, 0.5), "below the bar of 0.5");
});
