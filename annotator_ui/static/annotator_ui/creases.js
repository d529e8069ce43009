// Edges of a triangle mesh as index pairs: those where the surface bends or ends, or all of them. Plain arrays, no three.

/** For each vertex of `positions` (x y z ...) the first vertex at the same place, so that seams count as joined. */
export function welded(positions) {
  const count = positions.length / 3;
  const bits = new Uint32Array(new Float32Array(positions).buffer);
  const size = 2 ** Math.ceil(Math.log2(count * 2 + 2));
  const table = new Int32Array(size).fill(-1);
  const first = new Uint32Array(count);
  for (let at = 0; at < count; at += 1) {
    const [x, y, z] = [bits[at * 3], bits[at * 3 + 1], bits[at * 3 + 2]];
    let slot = (Math.imul(x, 73856093) ^ Math.imul(y, 19349663) ^ Math.imul(z, 83492791)) >>> 0;
    for (slot = (slot ^ (slot >>> 15)) & (size - 1); ; slot = (slot + 1) & (size - 1)) {
      const other = table[slot];
      if (other < 0) table[slot] = at;
      else if (bits[other * 3] !== x || bits[other * 3 + 1] !== y || bits[other * 3 + 2] !== z) continue;
      first[at] = other < 0 ? at : other;
      break;
    }
  }
  return first;
}

/** Unit normals (x y z per triangle), zero for triangles without area. */
function faceNormals(positions, index) {
  const normals = new Float32Array(index.length);
  for (let at = 0; at < index.length; at += 3) {
    const [a, b, c] = [index[at] * 3, index[at + 1] * 3, index[at + 2] * 3];
    const [ux, uy, uz] = [positions[b] - positions[a], positions[b + 1] - positions[a + 1], positions[b + 2] - positions[a + 2]];
    const [vx, vy, vz] = [positions[c] - positions[a], positions[c + 1] - positions[a + 1], positions[c + 2] - positions[a + 2]];
    const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    const length = Math.sqrt(x * x + y * y + z * z) || 1;
    normals[at] = x / length;
    normals[at + 1] = y / length;
    normals[at + 2] = z / length;
  }
  return normals;
}

/** Index pairs of the edges where two faces bend by more than `degrees`, or that not exactly two faces share. */
export function creases(positions, index, degrees = 30) {
  return edges(positions, index, Math.cos((degrees * Math.PI) / 180));
}

/** Index pairs of all edges, each once. */
export function wires(positions, index) {
  return edges(positions, index, 2);
}

function edges(positions, index, gentle) {
  const place = welded(positions);
  const normals = faceNormals(positions, index);
  const size = 2 ** Math.ceil(Math.log2(index.length * 2 + 2));
  const table = new Int32Array(size).fill(-1);
  const ends = new Uint32Array(index.length * 2);
  const face = new Int32Array(index.length);
  const seen = new Uint8Array(index.length);
  const sharp = new Uint8Array(index.length);
  let count = 0;
  for (let at = 0; at < index.length; at += 1) {
    const [one, two] = [place[index[at]], place[index[at % 3 === 2 ? at - 2 : at + 1]]];
    if (one === two) continue;
    const [low, high] = one < two ? [one, two] : [two, one];
    let slot = (Math.imul(low, 73856093) ^ Math.imul(high, 19349663)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & (size - 1);
    while (table[slot] >= 0 && (ends[table[slot] * 2] !== low || ends[table[slot] * 2 + 1] !== high)) slot = (slot + 1) & (size - 1);
    const own = at - (at % 3);
    let edge = table[slot];
    if (edge < 0) {
      edge = table[slot] = count;
      [ends[edge * 2], ends[edge * 2 + 1], face[edge]] = [low, high, own];
      count += 1;
    } else {
      const other = face[edge];
      const dot = normals[own] * normals[other] + normals[own + 1] * normals[other + 1] + normals[own + 2] * normals[other + 2];
      if (dot < gentle) sharp[edge] = 1;
    }
    seen[edge] = Math.min(3, seen[edge] + 1);
  }
  const kept = new Uint32Array(count * 2);
  let filled = 0;
  for (let edge = 0; edge < count; edge += 1)
    if (sharp[edge] || seen[edge] !== 2) {
      kept[filled] = ends[edge * 2];
      kept[filled + 1] = ends[edge * 2 + 1];
      filled += 2;
    }
  return kept.slice(0, filled);
}
