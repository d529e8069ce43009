// A coarse stand-in of a mesh: the same vertices under fewer triangles, quick to draw while a drag goes on.

import { BufferAttribute, BufferGeometry } from "three";
import { MeshoptSimplifier } from "three/addons/libs/meshopt_simplifier.module.js";
import { welded } from "../creases.js";

export const PROXY_TRIANGLES = 10_000;

/** A geometry of at most `triangles` triangles; the given one itself when it has no more. */
export async function proxyOf(geometry, triangles = PROXY_TRIANGLES) {
  const { array } = geometry.attributes.position;
  if (geometry.index.count <= triangles * 3) return geometry;
  await MeshoptSimplifier.ready;
  // Vertices that differ in their normals only would hold on to every seam.
  const first = welded(array);
  const index = Uint32Array.from(geometry.index.array, (vertex) => first[vertex]);
  let [kept] = MeshoptSimplifier.simplify(index, array, 3, triangles * 3, 1);
  if (kept.length > triangles * 3) [kept] = MeshoptSimplifier.simplifySloppy(index, array, 3, null, triangles * 3, 1);
  const made = new BufferGeometry();
  // An attribute of its own over the same numbers: disposing of one geometry frees the buffers of its attributes.
  made.setAttribute("position", new BufferAttribute(array, 3));
  made.setIndex(new BufferAttribute(kept, 1));
  return made;
}
