// A coarse stand-in of a mesh with fewer triangles, quick to draw while a drag goes on.

import { BufferAttribute, BufferGeometry } from "three";
import { MeshoptSimplifier } from "three/addons/libs/meshopt_simplifier.module.js";
import { welded } from "../creases.js";
import { goWith } from "./looks.js";

export const PROXY_TRIANGLES = 10_000;

/** A geometry of at most PROXY_TRIANGLES; the given one itself when it has no more. Made once, freed with the geometry. */
export function proxyOf(geometry) {
  geometry.userData.proxy ??= coarse(geometry, PROXY_TRIANGLES * 3);
  return geometry.userData.proxy;
}

async function coarse(geometry, corners) {
  const { array } = geometry.attributes.position;
  if (geometry.index.count <= corners) return geometry;
  await MeshoptSimplifier.ready;
  // Vertices that differ in their normals only would hold on to every seam.
  const first = welded(array);
  const index = Uint32Array.from(geometry.index.array, (vertex) => first[vertex]);
  let [kept] = MeshoptSimplifier.simplify(index, array, 3, corners, 1);
  if (kept.length > corners) [kept] = MeshoptSimplifier.simplifySloppy(index, array, 3, null, corners, 1);
  return goWith(geometry, compact(array, kept));
}

/** A geometry of the vertices that the index names, and no others. */
function compact(array, index) {
  const own = new Map();
  const corners = index.map((vertex) => {
    if (!own.has(vertex)) own.set(vertex, own.size);
    return own.get(vertex);
  });
  const positions = new Float32Array(own.size * 3);
  for (const [vertex, at] of own) positions.set(array.subarray(vertex * 3, vertex * 3 + 3), at * 3);
  const made = new BufferGeometry();
  made.setAttribute("position", new BufferAttribute(positions, 3));
  made.setIndex(new BufferAttribute(corners, 1));
  made.computeVertexNormals();
  made.computeBoundingBox();
  made.computeBoundingSphere();
  return made;
}
