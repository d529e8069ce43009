// How judged meshes look: the same light, the same materials for every side, whatever the files say of metal or gloss.

import { BufferAttribute, BufferGeometry, DataTexture, DoubleSide, LineBasicMaterial, LinearFilter, LineSegments, Mesh, MeshMatcapMaterial, MeshNormalMaterial, RGBAFormat, SRGBColorSpace } from "three";
import { creases, wires } from "../creases.js";

export const SHADINGS = ["matcap", "normals", "edges", "wireframe", "textured"];
// How much light falls where: everywhere, from the lamp, from the viewer, and in the highlight.
const CLAY = { colour: [246, 240, 230], dark: 0.2, lit: 0.58, facing: 0.14, gloss: 0.25 };
const DAYLIGHT = { colour: [255, 255, 255], dark: 0.6, lit: 0.3, facing: 0.1, gloss: 0 };
const LINES = { edges: creases, wireframe: wires };

/** The clay of all judged meshes: a matcap computed here. */
export function clay() {
  return new MeshMatcapMaterial({ matcap: matcap(CLAY), side: DoubleSide });
}

function matcap({ colour, dark, lit: bright, facing, gloss }, size = 128) {
  const data = new Uint8Array(size * size * 4);
  const light = [-0.45, 0.62, 0.64];
  for (let row = 0; row < size; row += 1)
    for (let column = 0; column < size; column += 1) {
      const x = (2 * (column + 0.5)) / size - 1;
      const y = (2 * (row + 0.5)) / size - 1;
      const z = Math.sqrt(Math.max(0, 1 - x * x - y * y));
      const lit = Math.max(0, x * light[0] + y * light[1] + z * light[2]);
      const value = dark + bright * lit + facing * z + gloss * lit ** 24;
      const at = (row * size + column) * 4;
      for (let channel = 0; channel < 3; channel += 1) data[at + channel] = Math.min(255, value * colour[channel]);
      data[at + 3] = 255;
    }
  const texture = new DataTexture(data, size, size, RGBAFormat);
  texture.colorSpace = SRGBColorSpace;
  texture.magFilter = texture.minFilter = LinearFilter;
  texture.needsUpdate = true;
  return texture;
}

/** Edges of a geometry to be drawn over it, made when first asked for; they go with the geometry. */
function linesOf(geometry, kind) {
  geometry.userData.lines ??= {};
  return (geometry.userData.lines[kind] ??= made(geometry, LINES[kind]));
}

function made(geometry, edges) {
  const lines = new BufferGeometry();
  const { array } = geometry.attributes.position;
  // An attribute of its own over the same numbers: disposing of one geometry frees the buffers of its attributes.
  lines.setAttribute("position", new BufferAttribute(array, 3));
  lines.setIndex(new BufferAttribute(edges(array, geometry.index.array), 1));
  return goWith(geometry, lines);
}

/** Have `other` disposed of with the geometry; gives `other`. */
export function goWith(geometry, other) {
  const free = () => {
    geometry.removeEventListener("dispose", free);
    other.dispose();
  };
  geometry.addEventListener("dispose", free);
  return other;
}

/** Free a decoded geometry: its buffers, what was made from it, its pictures. */
export function release(geometry) {
  for (const map of geometry.userData.maps ?? []) {
    map?.source.data?.close?.();
    map?.dispose();
  }
  geometry.userData = {};
  geometry.dispose();
}

/** The materials of one renderer; all its meshes share them. */
export class Looks {
  constructor() {
    this.clay = clay();
    this.pushed = clay(); // gives way to the lines drawn over it
    Object.assign(this.pushed, { polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1 });
    this.normals = new MeshNormalMaterial({ side: DoubleSide });
    this.ink = { edges: new LineBasicMaterial({ color: 0x14161a }), wireframe: new LineBasicMaterial({ color: 0x14161a, transparent: true, opacity: 0.3 }) };
    this.light = matcap(DAYLIGHT);
    this.textured = new Map();
  }

  /** What to draw for a geometry in a shading: [surface, lines or null]. */
  of(geometry, shading) {
    if (shading === "normals") return [this.normals, null];
    if (shading in LINES) return [this.pushed, linesOf(geometry, shading)];
    if (shading === "textured" && geometry.userData.maps) return [this.#skin(geometry), null];
    return [this.clay, null];
  }

  #skin(geometry) {
    if (!this.textured.has(geometry)) {
      const { maps, colours } = geometry.userData;
      const skins = maps.map((map, at) => new MeshMatcapMaterial({ matcap: this.light, map, color: colours[at], side: DoubleSide }));
      this.textured.set(geometry, skins);
      goWith(geometry, { dispose: () => this.#peel(geometry) });
    }
    return this.textured.get(geometry);
  }

  #peel(geometry) {
    this.textured.get(geometry)?.forEach((skin) => skin.dispose());
    this.textured.delete(geometry);
  }

  dispose() {
    for (const geometry of [...this.textured.keys()]) this.#peel(geometry);
    for (const material of [this.clay, this.pushed, this.normals, ...Object.values(this.ink)]) {
      material.matcap?.dispose();
      material.dispose();
    }
    this.light.dispose();
  }
}

/** A mesh and the lines over it, both placed by one matrix that the owner sets. */
export class Shown {
  constructor(looks) {
    this.looks = looks;
    this.mesh = new Mesh(undefined, looks.clay);
    this.lines = new LineSegments(undefined, looks.ink.edges);
    for (const part of [this.mesh, this.lines]) Object.assign(part, { matrixAutoUpdate: false, frustumCulled: false, visible: false });
  }

  wear(geometry, shading) {
    this.mesh.visible = this.lines.visible = false;
    this.geometry = geometry;
    if (!geometry) return;
    const [surface, lines] = this.looks.of(geometry, shading);
    Object.assign(this.mesh, { geometry, material: surface, visible: true });
    if (lines) Object.assign(this.lines, { geometry: lines, material: this.looks.ink[shading], visible: true });
  }

  place(matrix) {
    for (const part of [this.mesh, this.lines]) {
      part.matrix.copy(matrix);
      part.matrixWorldNeedsUpdate = true;
    }
  }
}
