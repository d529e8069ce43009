// Two meshes side by side in one renderer: same camera, same light, same framing; or one mesh alone for its rating.
// Drawn on demand. Each mesh is shown as its pose has it in the photo, centred and scaled to one size.

import { Group, Matrix4, Mesh, PerspectiveCamera, Scene, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { poseToObject } from "./frames.js";
import { clay } from "./meshes.js";

const BACKGROUND = 0x2a2d31;
const DISTANCE = 4.2;
const FIELD = 30;
const SECONDS_PER_TURN = 12;

/** Vertical field of view (degrees) at which FIELD fits the shorter side. */
function fitted(aspect) {
  const half = Math.tan((FIELD * Math.PI) / 360);
  return (Math.atan(half / Math.min(1, aspect)) * 360) / Math.PI;
}

class Side {
  constructor(material) {
    this.scene = new Scene();
    this.placed = new Group();
    this.placed.matrixAutoUpdate = false;
    this.mesh = new Mesh(undefined, material);
    this.mesh.matrixAutoUpdate = false;
    this.placed.add(this.mesh);
    this.scene.add(this.placed);
    this.placed.visible = false;
  }

  /** Show a geometry as `pose` has it in the photo, or nothing. */
  show(geometry, pose) {
    this.placed.visible = Boolean(geometry);
    if (!geometry) return;
    this.mesh.geometry = geometry;
    this.centre = geometry.boundingBox.getCenter(new Vector3());
    const { position, quaternion, scale } = poseToObject(pose);
    const camera = new Matrix4().compose(position, quaternion, scale);
    const middle = this.centre.clone().applyMatrix4(camera);
    const radius = geometry.boundingSphere.radius * Math.max(...pose.s) || 1;
    // Looking straight at the object from the photo's camera, instead of along that camera's own axis.
    const level = new Matrix4().lookAt(new Vector3(), middle, new Vector3(0, 1, 0)).invert();
    this.placed.matrix
      .makeScale(1 / radius, 1 / radius, 1 / radius)
      .multiply(level)
      .multiply(new Matrix4().makeTranslation(middle.negate()))
      .multiply(camera);
    this.turn(0);
  }

  /** Turn the mesh about its own upright axis by `angle` (radians). */
  turn(angle) {
    if (!this.centre) return;
    const { x, y, z } = this.centre;
    this.mesh.matrix
      .makeTranslation(x, y, z)
      .multiply(new Matrix4().makeRotationY(angle))
      .multiply(new Matrix4().makeTranslation(-x, -y, -z));
    this.mesh.matrixWorldNeedsUpdate = true;
  }
}

export class Duel {
  /** canvas covers both viewports; `places()` gives their rectangles {x, y, width, height} in CSS pixels of it. */
  constructor(canvas, places, { antialias = true, still = false } = {}) {
    this.places = places;
    this.canvas = canvas;
    this.renderer = new WebGLRenderer({ canvas, antialias, powerPreference: "high-performance" });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setClearColor(BACKGROUND);
    this.camera = new PerspectiveCamera(FIELD, 1, 0.1, 50);
    this.material = clay();
    this.sides = [new Side(this.material), new Side(this.material)];
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    this.controls.minDistance = 1.2;
    this.controls.maxDistance = 15;
    this.controls.addEventListener("start", () => this.setTurning(false));
    this.controls.addEventListener("change", () => this.draw());
    canvas.addEventListener("webglcontextrestored", () => this.draw());
    this.still = still;
    this.turning = false;
    this.angle = 0;
    this.frame = 0;
    this.frames = 0;
    this.reset();
  }

  /** Show [geometry, pose] per side; null leaves a side empty. */
  show(left, right) {
    [left, right].forEach((item, at) => this.sides[at].show(item?.geometry, item?.pose));
    this.reset();
    this.setTurning(!this.still);
  }

  /** The photo's viewpoint, standing still. */
  reset() {
    this.setTurning(false);
    this.angle = 0;
    this.sides.forEach((side) => side.turn(0));
    this.camera.position.set(0, 0, DISTANCE);
    this.controls.target.set(0, 0, 0);
    this.controls.update();
    this.draw();
  }

  setTurning(on) {
    this.turning = on;
    this.last = performance.now();
    if (on) this.draw();
  }

  /** Ask for one frame. */
  draw() {
    this.frame ||= requestAnimationFrame((now) => this.#render(now));
  }

  #render(now) {
    this.frame = 0;
    if (this.turning) {
      this.angle += ((now - this.last) / 1000 / SECONDS_PER_TURN) * 2 * Math.PI;
      this.sides.forEach((side) => side.turn(this.angle));
    }
    this.last = now;
    this.#resize();
    const begun = performance.now();
    const height = this.canvas.clientHeight;
    this.places().forEach((place, at) => {
      if (!place.width || !place.height) return;
      const box = [place.x, height - place.y - place.height, place.width, place.height];
      this.renderer.setViewport(...box);
      this.renderer.setScissor(...box);
      this.camera.aspect = place.width / place.height;
      // The whole mesh fits the shorter side of its viewport.
      this.camera.fov = fitted(this.camera.aspect);
      this.camera.updateProjectionMatrix();
      this.renderer.render(this.sides[at].scene, this.camera);
    });
    this.frames += 1;
    // Software rendering must leave room for the keys: wait at least as long as the frame took.
    const took = performance.now() - begun;
    if (this.turning) this.timer = setTimeout(() => this.turning && this.draw(), Math.max(16, took));
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.width === width && this.height === height) return;
    [this.width, this.height] = [width, height];
    this.renderer.setSize(width, height, false);
    this.renderer.setScissorTest(true);
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.controls.dispose();
    this.material.matcap.dispose();
    this.material.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
