// Viewer copies of candidates: decoded once, kept as one bare geometry each, freed when no longer wanted.

import { BufferAttribute, BufferGeometry, Color, Matrix3, Matrix4, MeshBasicMaterial, Vector3 } from "three";
import { MeshoptDecoder } from "three/addons/libs/meshopt_decoder.module.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { t } from "../words.js";
import { goWith, release } from "./looks.js";

const AT_ONCE = 2;
const STILL = new Matrix4();
const loader = new GLTFLoader().setMeshoptDecoder(MeshoptDecoder);
// Shape is judged untextured: no material is read, so no picture is decoded.
const shapes = new GLTFLoader()
  .setMeshoptDecoder(MeshoptDecoder)
  .register(() => ({ name: "shape_only", loadMaterial: async () => new MeshBasicMaterial() }));

/** All triangles of a GLB (ArrayBuffer) as one indexed geometry in the GLB's own frame, with normals. With `textured` it
 *  keeps texture coordinates, one group per part, and userData.maps and userData.colours (base colours) by group. A viewer
 *  copy brings the same surface in 10,000 triangles: userData.coarse, for what moves on slow machines. */
export async function decode(buffer, { textured = false } = {}) {
  const gltf = await (textured ? loader : shapes).parseAsync(buffer, "");
  gltf.scene.updateMatrixWorld(true);
  const parts = [];
  gltf.scene.traverse((node) => {
    if (node.isMesh) parts.push(node);
  });
  const second = parts.length === 2 ? parts.find(({ name }) => name === "coarse") : null;
  const made = geometryOf(parts.filter((part) => part !== second), textured);
  if (!made.index.count) throw new Error(t("This mesh holds no triangles."));
  if (second) made.userData.coarse = goWith(made, geometryOf([second], textured));
  return made;
}

function geometryOf(parts, textured) {
  const made = isBare(parts) ? bare(parts[0].geometry, textured) : joined(parts, textured);
  if (textured) keepColours(made, parts);
  made.computeBoundingBox();
  made.computeBoundingSphere();
  return made;
}

function keepColours(made, parts) {
  made.userData.maps = parts.map(({ material }) => material.map ?? null);
  made.userData.colours = parts.map(({ material }) => material.color ?? new Color(1, 1, 1));
  for (const { material } of parts)
    for (const [name, value] of Object.entries(material)) if (value?.isTexture && name !== "map") value.source.data?.close?.();
}

/** Whether the one part lies in the GLB's frame as it is: all viewer copies do, so none of their numbers is touched. */
function isBare(parts) {
  if (parts.length !== 1) return false;
  const { geometry, matrixWorld } = parts[0];
  const { position, normal } = geometry.attributes;
  return geometry.index && normal && position.array instanceof Float32Array && !position.isInterleavedBufferAttribute && matrixWorld.equals(STILL);
}

function bare(geometry, textured) {
  for (const name of Object.keys(geometry.attributes))
    if (!["position", "normal", ...(textured ? ["uv"] : [])].includes(name)) geometry.deleteAttribute(name);
  geometry.morphAttributes = {};
  geometry.clearGroups();
  if (textured) geometry.addGroup(0, geometry.index.count, 0);
  return geometry;
}

function joined(parts, textured) {
  const vertices = parts.reduce((sum, part) => sum + part.geometry.attributes.position.count, 0);
  const corners = parts.reduce((sum, part) => sum + (part.geometry.index ?? part.geometry.attributes.position).count, 0);
  const positions = new Float32Array(vertices * 3);
  const index = new Uint32Array(corners);
  const made = new BufferGeometry();
  let [firstVertex, firstCorner] = [0, 0];
  parts.forEach((part, group) => {
    const source = part.geometry.attributes.position;
    const place = part.matrixWorld.elements;
    const values = plain(source);
    for (let at = 0; at < values.length; at += 3)
      for (let axis = 0; axis < 3; axis += 1)
        positions[firstVertex * 3 + at + axis] = place[axis] * values[at] + place[axis + 4] * values[at + 1] + place[axis + 8] * values[at + 2] + place[axis + 12];
    const own = part.geometry.index?.array;
    const count = own?.length ?? source.count;
    for (let at = 0; at < count; at += 1) index[firstCorner + at] = firstVertex + (own ? own[at] : at);
    if (textured) made.addGroup(firstCorner, count, group);
    firstVertex += source.count;
    firstCorner += count;
  });
  made.setAttribute("position", new BufferAttribute(positions, 3));
  made.setIndex(new BufferAttribute(index, 1));
  if (textured) made.setAttribute("uv", coordinates(parts, vertices));
  if (parts.every((part) => part.geometry.attributes.normal)) made.setAttribute("normal", normals(parts, vertices));
  else made.computeVertexNormals();
  return made;
}

/** Positions in floats: quantised ones are normalised integers, of which getX gives the true value. */
function plain(source) {
  if (source.array instanceof Float32Array && !source.isInterleavedBufferAttribute) return source.array;
  const values = new Float32Array(source.count * 3);
  for (let at = 0; at < source.count; at += 1) values.set([source.getX(at), source.getY(at), source.getZ(at)], at * 3);
  return values;
}

function coordinates(parts, vertices) {
  const values = new Float32Array(vertices * 2);
  let first = 0;
  for (const { geometry } of parts) {
    const { uv, position } = geometry.attributes;
    for (let at = 0; uv && at < uv.count; at += 1) values.set([uv.getX(at), uv.getY(at)], (first + at) * 2);
    first += position.count;
  }
  return new BufferAttribute(values, 2);
}

function normals(parts, vertices) {
  const values = new Float32Array(vertices * 3);
  const normal = new Vector3();
  let first = 0;
  for (const part of parts) {
    const source = part.geometry.attributes.normal;
    const turn = new Matrix3().getNormalMatrix(part.matrixWorld);
    for (let at = 0; at < source.count; at += 1)
      normal.fromBufferAttribute(source, at).applyMatrix3(turn).normalize().toArray(values, (first + at) * 3);
    first += source.count;
  }
  return new BufferAttribute(values, 3);
}

/** Geometries by address, so that none is fetched or decoded twice. */
export class MeshShelf {
  /** bytes(url) fetches; warm(geometry), if given, is called in a quiet moment after each decoding. */
  constructor(bytes, { warm = null } = {}) {
    this.bytes = bytes;
    this.warm = warm;
    this.kept = new Map();
    this.waiting = [];
  }

  /** The geometry at an address. One that comes textured stays so; asked for again untextured, it is the same. */
  get(url, { textured = false } = {}) {
    const held = this.kept.get(url);
    if (held && (held.textured || !textured)) return held.coming;
    const coming = this.bytes(url).then((buffer) => decode(buffer, { textured }));
    const entry = { coming, textured };
    this.kept.set(url, entry);
    if (held) discard(held);
    coming.then((geometry) => this.#soon(url, entry, geometry)).catch(() => this.kept.get(url) === entry && this.kept.delete(url));
    return coming;
  }

  #soon(url, entry, geometry) {
    if (this.warm) quiet(() => this.kept.get(url) === entry && this.warm(geometry));
  }

  /** Load these in this order while nothing else is asked for, two at a time; failures are left for get. */
  async ahead(urls, options = {}) {
    this.waiting = [...urls];
    const lane = async () => {
      for (let url = this.waiting.shift(); url; url = this.waiting.shift()) await this.get(url, options).catch(() => {});
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }

  /** Drop all but these addresses and free their GPU buffers. */
  keep(urls) {
    this.waiting = this.waiting.filter((url) => urls.includes(url));
    for (const [url, entry] of this.kept)
      if (!urls.includes(url)) {
        this.kept.delete(url);
        discard(entry);
      }
  }
}

function discard({ coming }) {
  coming.then(release).catch(() => {});
}

function quiet(call) {
  if (globalThis.requestIdleCallback) globalThis.requestIdleCallback(call, { timeout: 300 });
  else setTimeout(call);
}
