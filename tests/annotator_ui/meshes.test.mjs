import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, MeshShelf } from "../../annotator_ui/static/annotator_ui/scene/meshes.js";

/** A GLB with one triangle, its positions as normalised bytes under a node that scales by 2. */
function triangle() {
  const positions = new Int8Array([0, 0, 0, 0, 127, 0, 0, 0, 0, 127, 0, 0]);
  const json = JSON.stringify({
    asset: { version: "2.0" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0, scale: [2, 2, 2] }],
    extensionsUsed: ["KHR_mesh_quantization"], extensionsRequired: ["KHR_mesh_quantization"],
    meshes: [{ primitives: [{ attributes: { POSITION: 0 } }] }],
    accessors: [{ bufferView: 0, componentType: 5120, normalized: true, count: 3, type: "VEC3", min: [0, 0, 0], max: [127, 127, 0] }],
    bufferViews: [{ buffer: 0, byteLength: 12, byteStride: 4 }], buffers: [{ byteLength: 12 }],
  });
  const text = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 4) * 4));
  const whole = new ArrayBuffer(12 + 8 + text.length + 8 + 12);
  const view = new DataView(whole);
  [0x46546c67, 2, whole.byteLength, text.length, 0x4e4f534a].forEach((value, at) => view.setUint32(at * 4, value, true));
  new Uint8Array(whole, 20).set(text);
  view.setUint32(20 + text.length, 12, true);
  view.setUint32(24 + text.length, 0x004e4942, true);
  new Uint8Array(whole, 28 + text.length).set(new Uint8Array(positions.buffer));
  return whole;
}

test("quantised positions come out in the GLB's own frame", async () => {
  const geometry = await decode(triangle());
  assert.deepEqual([...geometry.attributes.position.array], [0, 0, 0, 2, 0, 0, 0, 2, 0]);
  assert.equal(geometry.index.count, 3);
});

test("no mesh is fetched twice, and one that failed can be tried again", async () => {
  let calls = 0;
  const shelf = new MeshShelf(async () => {
    calls += 1;
    if (calls === 1) throw new Error("offline");
    return triangle();
  });
  await assert.rejects(shelf.get("a"));
  await new Promise((done) => setTimeout(done));
  await Promise.all([shelf.get("a"), shelf.get("a")]);
  assert.equal(calls, 2);
});

test("what is not kept frees its buffers", async () => {
  const shelf = new MeshShelf(async () => triangle());
  const geometry = await shelf.get("a");
  let freed = false;
  geometry.addEventListener("dispose", () => (freed = true));
  shelf.keep([]);
  await new Promise((done) => setTimeout(done));
  assert.ok(freed);
});
