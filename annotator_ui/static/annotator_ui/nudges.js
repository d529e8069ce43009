// What a key does to a pose on the align page, as pure numbers: coarse and fine steps, quarter turns, one axis or all.

import { grown, moved, spun, turned } from "./poses.js";

export const COARSE = { move: 0.02, turn: 5, grow: 1.02 };
export const FINE = { move: 0.002, turn: 0.5, grow: 1.002 };
const AXES = { x: 0, y: 1, z: 2 };
const TURNS = { pitch: 0, yaw: 1, roll: 2 };

/**
 * The pose after an action such as "x-", "yaw+", "grow" or "quarter-y"; null for an action that is none of these.
 * Moves are shares of `size`, the mesh's diagonal, along the camera's axes; turns and scales hold `pivot` (GLB frame);
 * `axis`: the one axis of the mesh that is scaled, null for all.
 */
export function nudged(pose, action, { fine = false, size, pivot, axis = null }) {
  const step = fine ? FINE : COARSE;
  if (action === "grow") return grown(pose, step.grow, pivot, axis);
  if (action === "shrink") return grown(pose, 1 / step.grow, pivot, axis);
  if (action.startsWith("quarter-")) return spun(pose, AXES[action.slice(-1)], 90, pivot);
  const sign = { "+": 1, "-": -1 }[action.slice(-1)];
  const name = action.slice(0, -1);
  if (!sign) return null;
  if (name in AXES) return moved(pose, [0, 1, 2].map((at) => (at === AXES[name] ? sign * step.move * size : 0)));
  if (name in TURNS) return turned(pose, TURNS[name], sign * step.turn, pivot);
  return null;
}
