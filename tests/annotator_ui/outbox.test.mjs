import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, isPassing } from "../../annotator_ui/static/annotator_ui/outbox.js";

/** Stands in for IndexedDB: what several pages of one browser share. */
function memory() {
  const lists = { waiting: [], refused: [] };
  let id = 0;
  return {
    lists,
    all: async (list, user) => lists[list].filter((row) => row.user === user),
    add: async (list, entry) => void lists[list].push({ ...entry, id: ++id }),
    remove: async (list, gone) => void (lists[list] = lists[list].filter((row) => row.id !== gone)),
    async refuse(entry, problem) {
      await this.remove("waiting", entry.id);
      await this.add("refused", { ...entry, code: problem.code, message: problem.message });
    },
  };
}

function problem(status, code = "") {
  return Object.assign(new Error(code || String(status)), { status, code });
}

const broken = (status, code) => async () => { throw problem(status, code); };
const outbox = (options) => new Outbox({ store: memory(), user: "ada", later: () => {}, ...options });

test("an answer is stored before it is sent and gone once it is acknowledged", async () => {
  let storedWhileSending = 0;
  const box = outbox({ send: async () => (storedWhileSending = (await box.entries()).length) && { ok: 1 } });
  assert.deepEqual(await box.add("a/", { key: "k1" }), { ok: 1 });
  assert.equal(storedWhileSending, 1);
  assert.equal((await box.entries()).length, 0);
});

test("an answer that meets no server waits, the page hears of it, and it is sent again with its key", async () => {
  const sent = [];
  const said = [];
  let retry;
  const send = async (path, body) => {
    sent.push(body.key);
    if (sent.length === 1) throw problem(0, "offline");
    return "stored";
  };
  const box = outbox({ send, later: (again) => (retry = again), onChange: (n) => said.push(n) });
  const reply = box.add("a/", { key: "k1" });
  while (!retry) await new Promise((done) => setImmediate(done));
  assert.equal((await box.entries()).length, 1);
  retry();
  assert.equal(await reply, "stored");
  await box.working;
  assert.deepEqual([sent, said], [["k1", "k1"], [1, 0]]);
});

test("answers are sent in the order in which they were given", async () => {
  const sent = [];
  const box = outbox({ send: async (path) => sent.push(path) });
  await Promise.all([box.add("a/", { key: "k1" }), box.add("b/", { key: "k2" }), box.add("c/", { key: "k3" })]);
  assert.deepEqual(sent, ["a/", "b/", "c/"]);
});

test("a lost lease rejects the answer with the server's words", async () => {
  const box = outbox({ send: broken(409, "lease_lost") });
  await assert.rejects(box.add("a/", { key: "k1" }), { code: "lease_lost" });
  assert.deepEqual([await box.entries(), await box.undelivered()], [[], []]);
});

test("a page opened later sends what an earlier one left", async () => {
  const store = memory();
  const offline = outbox({ store, send: broken(503) });
  offline.add("a/", { key: "k1" });
  while (!store.lists.waiting.length) await new Promise((done) => setImmediate(done));
  const sent = [];
  await outbox({ store, send: async (path, body) => sent.push([path, body.key]) }).flush();
  assert.deepEqual(sent, [["a/", "k1"]]);
  assert.deepEqual(store.lists.waiting, []);
});

test("a kept answer that the server refuses later is listed with its words until it is read", async () => {
  const store = memory();
  await store.add("waiting", { user: "ada", path: "assignments/3/rating/", body: { r: 0.4, key: "k1" }, key: "k1" });
  const box = outbox({ store, send: broken(409, "lease_lost") });
  await box.flush();
  const [row] = await box.undelivered();
  assert.deepEqual([row.code, row.body.r, (await box.entries()).length], ["lease_lost", 0.4, 0]);
  await box.dismiss(row.id);
  assert.deepEqual(await box.undelivered(), []);
});

test("people on one machine do not send each other's answers", async () => {
  const store = memory();
  await store.add("waiting", { user: "ada", path: "a/", body: {}, key: "k1" });
  const sent = [];
  await outbox({ store, user: "leo", send: async (path) => sent.push(path) }).flush();
  assert.deepEqual([sent, store.lists.waiting.length], [[], 1]);
});

test("of two tabs one sends at a time, and both hear the reply to their own answer", async () => {
  const store = memory();
  let last = Promise.resolve();
  const alone = (work) => (last = last.then(work));
  let open = 0;
  let most = 0;
  const send = async (path, body) => {
    most = Math.max(most, ++open);
    await new Promise((done) => setImmediate(done));
    open -= 1;
    return body.key;
  };
  const tabs = [outbox({ store, send, alone }), outbox({ store, send, alone })];
  assert.deepEqual(await Promise.all([tabs[0].add("a/", { key: "k1" }), tabs[1].add("b/", { key: "k2" })]), ["k1", "k2"]);
  assert.deepEqual([most, store.lists.waiting], [1, []]);
});

test("what lay in localStorage under the old name moves over once", async () => {
  const kept = new Map([["maquette.outbox.ada", JSON.stringify([{ path: "a/", body: { key: "k1" }, key: "k1" }])]]);
  const old = { getItem: (name) => kept.get(name) ?? null, removeItem: (name) => kept.delete(name) };
  const sent = [];
  const box = outbox({ old, send: async (path, body) => sent.push(body.key) });
  await box.flush();
  await box.flush();
  assert.deepEqual([sent, kept.size], [["k1"], 0]);
});

test("a machine that can keep nothing still sends", async () => {
  const store = { all: broken(0), add: broken(0) };
  assert.equal(await outbox({ store, send: async () => "stored" }).add("a/", { key: "k1" }), "stored");
});

test("only what can pass by itself is tried again", () => {
  assert.deepEqual([0, 401, 503, 400, 404, 409].map((status) => isPassing(problem(status))), [true, true, true, false, false, false]);
});
