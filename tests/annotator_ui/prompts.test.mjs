import assert from "node:assert/strict";
import { test } from "node:test";
import { Asker, promptOf, unanswered } from "../../annotator_ui/static/annotator_ui/prompts.js";

const click = (at, positive = true, more = {}) => ({ kind: "click", at, positive, polygons: null, ...more });
const SQUARE = [[0, 0, 1, 0, 1, 1]];

test("clicks and the last box since the last clearing are the prompt", () => {
  const list = [click([9, 9]), { kind: "clear" }, click([1, 1]), click([2, 2], false), { kind: "box", box: [0, 0, 5, 5] }, { kind: "brush", points: [[1, 1]], size: 3 }];
  assert.deepEqual(promptOf(list), { positive: [[1, 1]], negative: [[2, 2]], box: [0, 0, 5, 5] });
});

test("a refused click counts no more", () => {
  const list = [click([1, 1]), click([2, 2], false, { refused: true })];
  assert.deepEqual(promptOf(list), { positive: [[1, 1]], negative: [], box: null });
});

test("the click whose reply is missing is found again after an undo", () => {
  const first = click([1, 1]);
  assert.equal(unanswered([first]), first);
  assert.equal(unanswered([first, click([2, 2], true, { polygons: SQUARE })]), null);
});

test("a newer click supersedes the older one's reply", async () => {
  const waiting = [];
  const asker = new Asker((prompt) => new Promise((resolve) => waiting.push({ prompt, resolve })));
  const [first, second] = [click([1, 1]), click([2, 2])];
  const replies = [asker.ask(first, [first]), asker.ask(second, [first, second])];
  waiting[1].resolve({ polygons: SQUARE });
  waiting[0].resolve({ polygons: [[5, 5, 6, 6, 7, 7]] });
  assert.deepEqual(await Promise.all(replies), [false, true]);
  assert.deepEqual([first.polygons, second.polygons], [null, SQUARE]);
  assert.deepEqual(waiting[1].prompt.positive, [[1, 1], [2, 2]]);
});

test("what the segmenter refuses is said, unless a newer click has come", async () => {
  const asker = new Asker(() => Promise.reject(new Error("nothing was found there")));
  const lost = click([1, 1]);
  await assert.rejects(asker.ask(lost, [lost]), /nothing was found/);
  assert.equal(lost.refused, true);
  const [first, second] = [click([1, 1]), click([2, 2])];
  const older = asker.ask(first, [first]);
  asker.ask(second, [first, second]).catch(() => {});
  assert.equal(await older, false);
});
