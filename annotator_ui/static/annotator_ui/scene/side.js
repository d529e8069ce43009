// One side of the duel: a mesh as its pose has it in the photo, turned on the spot, and from where it was seen.

import { Matrix4, Quaternion, Scene, Vector3 } from "three";
import { Coverage } from "../coverage.js";
import { poseToObject } from "./frames.js";
import { Shown } from "./looks.js";

const DISTANCE = 4.2; // to a mesh of radius 1 that no photo places
const UP = new Vector3(0, 1, 0);

export class Side {
  constructor(looks) {
    this.scene = new Scene();
    this.shown = new Shown(looks);
    this.scene.add(this.shown.mesh, this.shown.lines);
    this.coverage = new Coverage();
    this.matrix = new Matrix4();
  }

  /** Show a geometry as `pose` has it in the photo, or nothing. `free`: without photo, centred and of one size. */
  show(geometry, pose, shading, free) {
    this.geometry = geometry;
    this.shown.wear(geometry, shading);
    this.coverage.clear();
    if (!geometry) return;
    const { position, quaternion, scale } = poseToObject(pose);
    this.start = new Matrix4().compose(position, quaternion, scale);
    this.upright = UP.clone().applyQuaternion(quaternion);
    this.middle = geometry.boundingBox.getCenter(new Vector3()).applyMatrix4(this.start);
    this.radius = geometry.boundingSphere.radius * Math.max(...pose.s) || 1;
    if (free) this.#stand();
    // Turns are about the line of sight to the mesh's middle and what is upright across it.
    this.level = new Quaternion().setFromRotationMatrix(new Matrix4().lookAt(new Vector3(), this.middle, UP));
    this.levelled = this.level.clone().invert();
  }

  /** Draw the coarse copy, or the full mesh again. */
  coarsen(on, shading) {
    const wanted = (on && this.geometry?.userData.coarse) || this.geometry;
    if (wanted && wanted !== this.shown.geometry) this.shown.wear(wanted, shading);
  }

  #stand() {
    const level = new Quaternion().setFromRotationMatrix(new Matrix4().lookAt(new Vector3(), this.middle, UP)).invert();
    const place = new Matrix4()
      .makeTranslation(0, 0, -DISTANCE)
      .multiply(new Matrix4().makeScale(1 / this.radius, 1 / this.radius, 1 / this.radius))
      .multiply(new Matrix4().makeRotationFromQuaternion(level))
      .multiply(new Matrix4().makeTranslation(this.middle.clone().negate()));
    this.start.premultiply(place);
    this.upright.applyQuaternion(level);
    this.middle.set(0, 0, -DISTANCE);
    this.radius = 1;
  }

  /** Place the mesh turned by `angle` (radians) about its own upright axis, then by `view`; both hold its middle. */
  turn(angle, view) {
    if (!this.shown.geometry) return;
    const turn = this.level.clone().multiply(view).multiply(this.levelled);
    turn.multiply(new Quaternion().setFromAxisAngle(this.upright, angle));
    this.off = 2 * Math.acos(Math.min(1, Math.abs(turn.w)));
    this.matrix
      .makeTranslation(this.middle)
      .multiply(new Matrix4().makeRotationFromQuaternion(turn))
      .multiply(new Matrix4().makeTranslation(this.middle.clone().negate()))
      .multiply(this.start);
    this.shown.place(this.matrix);
  }

  /** Note from where the mesh is seen: the direction to the camera in the mesh's own frame. */
  see() {
    const { quaternion } = this.placed();
    this.coverage.add(this.middle.clone().negate().applyQuaternion(quaternion.invert()).toArray());
  }

  placed() {
    const [position, quaternion, scale] = [new Vector3(), new Quaternion(), new Vector3()];
    this.matrix.decompose(position, quaternion, scale);
    return { position, quaternion, scale };
  }

  range() {
    const far = -this.middle.z + this.radius * 1.01;
    return [Math.max(-this.middle.z - this.radius * 1.01, Math.abs(far) * 1e-3), Math.max(far, 1e-6)];
  }
}
