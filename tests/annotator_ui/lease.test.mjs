import assert from "node:assert/strict";
import { test } from "node:test";
import { Lease } from "../../annotator_ui/static/annotator_ui/lease.js";

function held(post, extra = {}) {
  const lost = [];
  const lease = new Lease({
    assignment: { id: 7, fence: 2 }, post, onLost: (problem) => lost.push(problem.code),
    every: () => 1, cancel: () => {}, ...extra,
  });
  return { lease, lost };
}

test("a heartbeat names the assignment and its fence", async () => {
  const calls = [];
  await held(async (...call) => calls.push(call)).lease.beat();
  assert.deepEqual(calls, [["assignments/7/heartbeat/", { fence: 2 }]]);
});

test("a lost lease is told once and ends the heartbeat", async () => {
  const { lease, lost } = held(async () => { throw Object.assign(new Error(), { code: "lease_lost" }); });
  await lease.beat();
  await lease.beat();
  assert.deepEqual(lost, ["lease_lost"]);
});

test("a network failure loses nothing", async () => {
  const { lease, lost } = held(async () => { throw Object.assign(new Error(), { code: "offline" }); });
  await lease.beat();
  assert.deepEqual([lost.length, lease.ended], [0, false]);
});

test("a hidden page sends no heartbeat", async () => {
  let calls = 0;
  await held(async () => { calls += 1; }, { visible: () => false }).lease.beat();
  assert.equal(calls, 0);
});
