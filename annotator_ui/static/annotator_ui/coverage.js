// From how many directions a mesh was seen: 32 equal patches of the sphere, in the mesh's own frame. No three.

const BANDS = 4;
const SECTORS = 8;
export const PATCHES = BANDS * SECTORS;

/** The patch of a direction (need not be of length 1) from the mesh's middle to the viewer; y is the mesh's up. */
export function patchOf([x, y, z]) {
  const height = y / (Math.hypot(x, y, z) || 1);
  // Bands of equal height on a sphere have equal area (Archimedes).
  const band = Math.min(BANDS - 1, Math.floor(((height + 1) / 2) * BANDS));
  const around = Math.atan2(z, x) / (2 * Math.PI) + 0.5;
  return band * SECTORS + Math.min(SECTORS - 1, Math.floor(around * SECTORS));
}

export class Coverage {
  constructor() {
    this.seen = new Set();
  }

  add(direction) {
    this.seen.add(patchOf(direction));
  }

  clear() {
    this.seen.clear();
  }

  /** 0 to 1. */
  get share() {
    return this.seen.size / PATCHES;
  }
}
