import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, isPassing } from "../../annotator_ui/static/annotator_ui/outbox.js";

function memory() {
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
}

function problem(status, code = "") {
  return Object.assign(new Error(code || String(status)), { status, code });
}

test("an answer is stored before it is sent and gone once it is acknowledged", async () => {
  const storage = memory();
  let storedWhileSending = 0;
  const box = new Outbox({ storage, name: "ada", send: async () => (storedWhileSending = box.entries().length) && { ok: 1 } });
  assert.deepEqual(await box.add("a/", { key: "k1" }), { ok: 1 });
  assert.equal(storedWhileSending, 1);
  assert.equal(box.entries().length, 0);
});

test("an answer that meets no server waits and is sent again with its key", async () => {
  const sent = [];
  let retry;
  const send = async (path, body) => {
    sent.push(body.key);
    if (sent.length === 1) throw problem(0, "offline");
    return "stored";
  };
  const box = new Outbox({ storage: memory(), name: "ada", send, later: (again) => (retry = again) });
  const reply = box.add("a/", { key: "k1" });
  await box.working;
  assert.equal(box.entries().length, 1);
  retry();
  assert.equal(await reply, "stored");
  assert.deepEqual(sent, ["k1", "k1"]);
});

test("a lost lease rejects the answer with the server's words", async () => {
  const box = new Outbox({ storage: memory(), name: "ada", send: async () => { throw problem(409, "lease_lost"); } });
  await assert.rejects(box.add("a/", { key: "k1" }), { code: "lease_lost" });
  assert.equal(box.entries().length, 0);
});

test("a page opened later sends what an earlier one left", async () => {
  const storage = memory();
  const offline = new Outbox({ storage, name: "ada", send: async () => { throw problem(503); }, later: () => {} });
  offline.add("a/", { key: "k1" });
  await offline.working;
  const sent = [];
  const box = new Outbox({ storage, name: "ada", send: async (path, body) => sent.push([path, body.key]) });
  await box.flush();
  assert.deepEqual(sent, [["a/", "k1"]]);
});

test("people on one machine do not send each other's answers", () => {
  const storage = memory();
  new Outbox({ storage, name: "ada", send: async () => { throw problem(0); }, later: () => {} }).add("a/", { key: "k1" });
  assert.equal(new Outbox({ storage, name: "leo", send: async () => {} }).entries().length, 0);
});

test("only what can pass by itself is tried again", () => {
  assert.deepEqual([0, 401, 503, 400, 404, 409].map((status) => isPassing(problem(status))), [true, true, true, false, false, false]);
});
