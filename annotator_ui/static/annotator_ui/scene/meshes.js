// Viewer copies of candidates: decoded once, kept as one bare geometry each (shape is judged untextured), disposed.

import { BufferAttribute, BufferGeometry, DataTexture, DoubleSide, LinearFilter, Matrix3, MeshMatcapMaterial, RGBAFormat, SRGBColorSpace, Vector3 } from "three";
import { MeshoptDecoder } from "three/addons/libs/meshopt_decoder.module.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const loader = new GLTFLoader().setMeshoptDecoder(MeshoptDecoder);

/** All triangles of a GLB (ArrayBuffer) as one geometry in the GLB's own frame, with normals and without materials. */
export async function decode(buffer) {
  const gltf = await loader.parseAsync(buffer, "");
  gltf.scene.updateMatrixWorld(true);
  const parts = [];
  gltf.scene.traverse((node) => {
    if (node.isMesh) parts.push(node);
    for (const material of [node.material].flat().filter(Boolean)) release(material);
  });
  const made = joined(parts);
  parts.forEach((part) => part.geometry.dispose());
  if (!made.index.count) throw new Error("This mesh holds no triangles.");
  made.computeBoundingBox();
  made.computeBoundingSphere();
  return made;
}

function release(material) {
  for (const value of Object.values(material)) if (value?.isTexture) value.dispose();
  material.dispose();
}

function joined(parts) {
  const vertices = parts.reduce((sum, part) => sum + part.geometry.attributes.position.count, 0);
  const corners = parts.reduce((sum, part) => sum + (part.geometry.index ?? part.geometry.attributes.position).count, 0);
  const positions = new Float32Array(vertices * 3);
  const index = new Uint32Array(corners);
  let [firstVertex, firstCorner] = [0, 0];
  for (const part of parts) {
    // Quantised attributes are normalised integers: getX gives their true value, in floats from here on.
    const source = part.geometry.attributes.position;
    const place = part.matrixWorld.elements;
    for (let at = 0; at < source.count; at += 1) {
      const [x, y, z] = [source.getX(at), source.getY(at), source.getZ(at)];
      const to = (firstVertex + at) * 3;
      for (let axis = 0; axis < 3; axis += 1)
        positions[to + axis] = place[axis] * x + place[axis + 4] * y + place[axis + 8] * z + place[axis + 12];
    }
    const own = part.geometry.index;
    const count = (own ?? source).count;
    for (let at = 0; at < count; at += 1) index[firstCorner + at] = firstVertex + (own ? own.getX(at) : at);
    firstVertex += source.count;
    firstCorner += count;
  }
  const made = new BufferGeometry();
  made.setAttribute("position", new BufferAttribute(positions, 3));
  made.setIndex(new BufferAttribute(index, 1));
  if (parts.every((part) => part.geometry.attributes.normal)) made.setAttribute("normal", normals(parts, vertices));
  else made.computeVertexNormals();
  return made;
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

/** Geometries by address, so that none is fetched or decoded twice; `bytes(url)` fetches. */
export class MeshShelf {
  constructor(bytes) {
    this.bytes = bytes;
    this.kept = new Map();
  }

  get(url) {
    if (!this.kept.has(url)) {
      const coming = this.bytes(url).then(decode);
      coming.catch(() => this.kept.delete(url));
      this.kept.set(url, coming);
    }
    return this.kept.get(url);
  }

  /** Drop all but these addresses and free their GPU buffers. */
  keep(urls) {
    for (const [url, coming] of this.kept)
      if (!urls.includes(url)) {
        this.kept.delete(url);
        coming.then((geometry) => geometry.dispose()).catch(() => {});
      }
  }
}

/** The one clay material of all judged meshes: a matcap computed here, the same light on every side. */
export function clay() {
  return new MeshMatcapMaterial({ matcap: matcap(), side: DoubleSide });
}

function matcap(size = 128) {
  const data = new Uint8Array(size * size * 4);
  const light = [-0.45, 0.62, 0.64];
  for (let row = 0; row < size; row += 1)
    for (let column = 0; column < size; column += 1) {
      const x = (2 * (column + 0.5)) / size - 1;
      const y = (2 * (row + 0.5)) / size - 1;
      const z = Math.sqrt(Math.max(0, 1 - x * x - y * y));
      const lit = Math.max(0, x * light[0] + y * light[1] + z * light[2]);
      const value = 0.2 + 0.58 * lit + 0.14 * z + 0.25 * lit ** 24;
      const at = (row * size + column) * 4;
      data[at] = Math.min(255, value * 246);
      data[at + 1] = Math.min(255, value * 240);
      data[at + 2] = Math.min(255, value * 230);
      data[at + 3] = 255;
    }
  const texture = new DataTexture(data, size, size, RGBAFormat);
  texture.colorSpace = SRGBColorSpace;
  texture.magFilter = texture.minFilter = LinearFilter;
  texture.needsUpdate = true;
  return texture;
}
