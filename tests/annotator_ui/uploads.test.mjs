import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { AT_ONCE, Stopped, Upload, recall, remember, sha256, unfit } from "../../annotator_ui/static/annotator_ui/uploads.js";

const PART = 4;
const settle = () => new Promise((done) => setTimeout(done, 2));

function problem(status, code = "") {
  return Object.assign(new Error(code || String(status)), { status, code });
}

function fileOf(text, name = "vase.glb", lastModified = 7) {
  return new File([text], name, { lastModified });
}

/** Stands in for the server and its store: uploads by key, parts by number; `fail(number)` may give what goes wrong. */
function server({ fail = () => null, slow = false } = {}) {
  const here = { rows: new Map(), put: [], atOnce: 0, most: 0, finalised: [], state: "open" };
  const describe = (row) => ({
    id: row.id, state: here.state, part_size: PART,
    parts: row.sizes.map((size, at) => ({ number: at + 1, size, stored: row.stored.has(at + 1), url: `/part/${row.id}/${at + 1}` })),
  });
  here.api = {
    async post(path, body) {
      if (path === "uploads/") {
        if (!here.rows.has(body.key)) {
          const sizes = Array.from({ length: Math.ceil(body.size / PART) }, (_, at) => Math.min(PART, body.size - at * PART));
          here.rows.set(body.key, { id: `u${here.rows.size + 1}`, sizes, stored: new Map() });
        }
        return describe(here.rows.get(body.key));
      }
      here.finalised.push(body);
      if (here.refuse) {
        here.state = "refused";
        throw Object.assign(problem(400, "upload_refused"), { message: here.refuse });
      }
      here.state = "stored";
      return { state: "stored" };
    },
    async putBytes(url, blob, { onProgress, signal }) {
      const number = Number(url.split("/").at(-1));
      here.most = Math.max(here.most, (here.atOnce += 1));
      onProgress(1);
      const stopped = new Promise((_, reject) => signal.addEventListener("abort", () => reject(problem(0, "stopped"))));
      stopped.catch(() => {});
      try {
        await Promise.race([slow ? (here.gate ??= new Promise((done) => (here.open = done))) : settle(), stopped]);
        const wrong = fail(number, here);
        if (wrong) throw wrong;
        here.put.push(number);
        [...here.rows.values()][0].stored.set(number, await blob.text());
      } finally {
        here.atOnce -= 1;
      }
    },
    received: () => [...[...here.rows.values()][0].stored.entries()].sort(([a], [b]) => a - b).map(([, text]) => text).join(""),
  };
  return here;
}

const sending = (here, file, more = {}) => new Upload({ file, key: "k", api: here.api, wait: settle, ...more });

test("a file goes in parts, at most three at once, and is finalised with its hash", async () => {
  const here = server();
  const text = "abcdefghijklmnopqrstuvwx-";
  const seen = [];
  const id = await sending(here, fileOf(text), { onChange: (at) => seen.push(at) }).run();
  assert.equal(id, "u1");
  assert.equal(here.api.received(), text);
  assert.equal(here.most, AT_ONCE);
  assert.deepEqual(here.finalised, [{ sha256: createHash("sha256").update(text).digest("hex") }]);
  assert.deepEqual(seen.at(-1), { state: "done", sent: 25, size: 25 });
  assert.ok(seen.every(({ sent }) => sent <= 25));
});

test("a broken network waits and goes on with the parts that are missing", async () => {
  let broken = 2;
  const states = new Set();
  const here = server({ fail: (number) => (number === 3 && broken-- > 0 ? problem(0, "offline") : null) });
  await sending(here, fileOf("aaaabbbbccccdddd"), { onChange: ({ state }) => states.add(state) }).run();
  assert.equal(here.api.received(), "aaaabbbbccccdddd");
  assert.deepEqual([...here.put].sort(), [1, 2, 3, 4]);
  assert.ok(states.has("waiting"));
});

test("after a reload the same key sends only what the server lacks", async () => {
  const here = server({ fail: (number) => (number === 4 ? problem(400, "bad") : null) });
  await assert.rejects(sending(here, fileOf("aaaabbbbccccdddd")).run(), { code: "bad" });
  const before = here.put.length;
  assert.ok(before >= 1);
  const again = new Upload({ file: fileOf("aaaabbbbccccdddd"), key: "k", wait: settle, api: { ...here.api, putBytes: (url, blob, more) => server_put(here, url, blob, more) } });
  await again.run();
  assert.equal(here.api.received(), "aaaabbbbccccdddd");
  assert.equal(new Set(here.put).size, here.put.length);
});

async function server_put(here, url, blob, { onProgress }) {
  const number = Number(url.split("/").at(-1));
  onProgress(blob.size);
  here.put.push(number);
  [...here.rows.values()][0].stored.set(number, await blob.text());
}

test("links that ran out are asked for anew, but not for ever", async () => {
  let stale = 1;
  const here = server({ fail: (number) => (number === 1 && stale-- > 0 ? problem(403, "link_refused") : null) });
  await sending(here, fileOf("aaaabbbb")).run();
  assert.equal(here.api.received(), "aaaabbbb");
  const never = server({ fail: () => problem(403, "link_refused") });
  await assert.rejects(sending(never, fileOf("aaaa")).run(), { code: "link_refused" });
});

test("what the server refuses for good ends the upload in its own words", async () => {
  const here = server();
  here.refuse = "The sha256 of what arrived is not the announced one.";
  await assert.rejects(sending(here, fileOf("aaaa")).run(), { code: "refused", message: here.refuse });
  assert.equal(here.finalised.length, 1);
});

test("a pause stops what is on its way, going on finishes it", async () => {
  const here = server({ slow: true });
  const states = [];
  const upload = sending(here, fileOf("aaaabbbb"), { onChange: ({ state }) => states.push(state) });
  const run = upload.run();
  await settle();
  upload.pause();
  await settle();
  assert.equal(here.atOnce, 0);
  assert.deepEqual([upload.state, here.put], ["paused", []]);
  here.gate = Promise.resolve();
  upload.resume();
  assert.equal(await run, "u1");
  assert.equal(here.api.received(), "aaaabbbb");
});

test("an upload that its person stops rejects as stopped, also while it is paused", async () => {
  const here = server({ slow: true });
  const upload = sending(here, fileOf("aaaabbbb"));
  const run = upload.run();
  await settle();
  upload.pause();
  upload.stop();
  await assert.rejects(run, Stopped);
  assert.deepEqual(here.put, []);
});

test("a file keeps its key until another takes its place", () => {
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  assert.equal(recall(storage, "p"), null);
  const key = remember(storage, "p", fileOf("abc"));
  assert.equal(remember(storage, "p", fileOf("abc")), key);
  assert.equal(recall(storage, "p").name, "vase.glb");
  assert.notEqual(remember(storage, "p", fileOf("abcd")), key);
  assert.notEqual(remember(storage, "p", fileOf("abcd", "vase.glb", 8)), key);
});

test("files that cannot be read are refused before a byte is sent", async () => {
  assert.equal(await unfit([fileOf("glTF")]), "");
  assert.equal(await unfit([fileOf("v 0 0 0", "a.OBJ")]), "");
  assert.equal(await unfit([fileOf("Kaydara FBX Binary  ", "a.glb")]), "fbx");
  assert.equal(await unfit([fileOf("x", "a.fbx")]), "fbx");
  assert.equal(await unfit([fileOf("", "a.glb")]), "empty");
  assert.equal(await unfit([fileOf("x", "a.blend")]), "kind");
  assert.equal(await unfit([fileOf("v", "a.obj"), fileOf("m", "a.mtl")]), "several");
});

test("the hash is that of the bytes", async () => {
  assert.equal(await sha256(fileOf("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
