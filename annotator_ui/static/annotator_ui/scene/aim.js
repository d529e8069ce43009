// Where a camera on an orbit stands to look at a point.

/** Look at `middle` from its side `from` (a direction), `reach` away. */
export function aim({ camera, orbit }, middle, from, reach) {
  orbit.target.copy(middle);
  camera.position.copy(middle).addScaledVector(from.normalize(), reach);
  camera.near = reach / 500;
  camera.far = reach * 500;
  orbit.update();
}
