// One mesh to be looked at from all sides, with dots and pins on it; or as it stands among the points of its photo.
// Drawn on demand.

import { Matrix4, PerspectiveCamera, Raycaster, Scene, Sphere, Spherical, Vector2, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { STRIDE, inMask } from "../cloud.js";
import { aim } from "./aim.js";
import { flip, poseToObject } from "./frames.js";
import { Looks, Shown } from "./looks.js";
import { cloud, splitPoints, trimmed } from "./points.js";
import { inSoftware, quality } from "./software.js";

const BACKGROUND = 0x2a2d31;
const DOT_COLOUR = 0xff5ca8;
const FIELD = 40;
const ROOM = 1.15;
const FRONT = [0.45, 0.3, 1]; // where a mesh is seen from at first, in its own frame
const FRAME_MS = 120; // of the turntable without graphics hardware

export class Bench {
  /** onDraw() after each frame, to move what lies over the canvas. */
  constructor(canvas, { onDraw = () => {} } = {}) {
    this.canvas = canvas;
    this.onDraw = onDraw;
    const { antialias, ratio } = quality(true);
    this.renderer = new WebGLRenderer({ canvas, antialias });
    this.renderer.setPixelRatio(ratio);
    this.renderer.setClearColor(BACKGROUND);
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(FIELD, 1, 0.01, 1000);
    this.looks = new Looks();
    this.shown = new Shown(this.looks);
    this.scene.add(this.shown.mesh, this.shown.lines);
    this.orbit = new OrbitControls(this.camera, canvas);
    this.orbit.addEventListener("start", () => this.setTurning(false));
    this.orbit.addEventListener("change", () => this.draw());
    canvas.addEventListener("webglcontextrestored", () => this.draw());
    this.points = this.dots = null;
    this.visible = { mesh: true, points: true };
    this.matrix = new Matrix4();
    this.around = new Sphere(new Vector3(), 1);
    this.frame = 0;
  }

  /** Show a geometry (null: none) in its own frame, or as `pose` has it before the photo's camera. */
  show(geometry, { pose = null, shading = "matcap" } = {}) {
    this.shading = shading;
    this.setDots([]);
    this.#wear(geometry);
    this.matrix = new Matrix4();
    this.posed = Boolean(pose);
    if (pose) {
      const { position, quaternion, scale } = poseToObject(pose);
      this.matrix.compose(position, quaternion, scale);
    }
    this.shown.place(this.matrix);
    if (geometry) this.around = geometry.boundingSphere.clone().applyMatrix4(this.matrix);
    this.home();
  }

  #wear(geometry) {
    this.shown.wear(geometry, this.shading);
    if (!this.visible.mesh) this.shown.mesh.visible = this.shown.lines.visible = false;
  }

  /** The points of the photo {camera, width, height}: x y z r g b; those in its mask say what is looked at where no mesh is. */
  setPoints(values, photo, mask) {
    const { positions, colours } = splitPoints(values);
    this.points = cloud(positions, colours, { vertexColors: true });
    this.scene.add(this.points);
    const inside = mask ? inMask(values, photo, mask) : new Uint8Array(values.length / STRIDE).fill(1);
    const own = [];
    inside.forEach((is, at) => is && own.push(...flip([...values.subarray(at * STRIDE, at * STRIDE + 3)])));
    if (own.length) trimmed(own).getBoundingSphere(this.around);
    this.posed = true;
    this.home();
  }

  /** Show or hide "mesh" or "points". */
  toggle(what, on) {
    this.visible[what] = on;
    if (what === "mesh") this.#wear(this.shown.geometry);
    if (what === "points" && this.points) this.points.visible = on;
    this.draw();
  }

  setShading(shading) {
    this.shading = shading;
    this.#wear(this.shown.geometry);
    this.draw();
  }

  /** The first view: the mesh's front, or from where the photo was taken. */
  home() {
    const { center } = this.around;
    this.#look(this.posed ? center.clone().negate() : new Vector3(...FRONT));
  }

  /** Look at a point [x, y, z] of the mesh from outside it. */
  lookAt(point) {
    const out = new Vector3(...point).applyMatrix4(this.matrix).sub(this.around.center);
    if (out.length() > this.around.radius * 1e-3) this.#look(out);
  }

  #look(from) {
    const { center, radius } = this.around;
    const reach = (Math.max(radius, 1e-6) * ROOM) / Math.sin((FIELD * Math.PI) / 360);
    this.setTurning(false);
    aim(this, center, from, reach);
    this.draw();
  }

  /** Turn by degrees to the right and up: what a drag does, for keys. */
  turnBy(right, up) {
    this.setTurning(false);
    const { target } = this.orbit;
    const at = new Spherical().setFromVector3(this.camera.position.clone().sub(target));
    at.theta += (right * Math.PI) / 180;
    at.phi -= (up * Math.PI) / 180;
    this.camera.position.setFromSpherical(at.makeSafe()).add(target);
    this.orbit.update();
    this.draw();
  }

  setTurning(on) {
    this.turning = on;
    this.orbit.autoRotate = on;
    this.last = performance.now();
    clearTimeout(this.timer);
    if (on) this.draw();
  }

  /** Bright dots at points of the mesh, seen through it. */
  setDots(points) {
    if (this.dots) {
      this.shown.mesh.remove(this.dots);
      this.dots.geometry.dispose();
      this.dots.material.dispose();
      this.dots = null;
    }
    if (points.length) {
      this.dots = cloud(new Float32Array(points.flat()), null, { color: DOT_COLOUR, size: 9, depthTest: false });
      this.dots.renderOrder = 1;
      this.shown.mesh.add(this.dots);
    }
    this.draw();
  }

  /** The point of the mesh under a place of the canvas (CSS pixels), in the GLB's frame; null beside it. */
  pick(x, y) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.#aim(width, height);
    this.scene.updateMatrixWorld();
    const ray = new Raycaster();
    ray.setFromCamera(new Vector2((x / width) * 2 - 1, 1 - (y / height) * 2), this.camera);
    const [hit] = this.shown.geometry ? ray.intersectObject(this.shown.mesh, false) : [];
    return hit ? this.shown.mesh.worldToLocal(hit.point.clone()).toArray() : null;
  }

  /** Where points of the mesh lie on the canvas (CSS pixels): [{x, y, isNear}], isNear on the viewer's side of the mesh. */
  project(points) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const middle = this.camera.position.distanceTo(this.around.center);
    return points.map((point) => {
      const at = new Vector3(...point).applyMatrix4(this.matrix);
      const isNear = this.camera.position.distanceTo(at) <= middle;
      at.project(this.camera);
      return { x: ((at.x + 1) / 2) * width, y: ((1 - at.y) / 2) * height, isNear };
    });
  }

  #aim(width, height) {
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.camera.updateMatrixWorld();
  }

  draw() {
    this.frame ||= requestAnimationFrame((now) => this.#render(now));
  }

  #render(now) {
    this.frame = 0;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    if (this.turning) this.orbit.update(Math.max(0, now - this.last) / 1000);
    this.last = now;
    if (this.drawn?.[0] !== width || this.drawn?.[1] !== height) {
      this.drawn = [width, height];
      this.renderer.setSize(width, height, false);
    }
    this.#aim(width, height);
    this.renderer.render(this.scene, this.camera);
    this.onDraw();
    if (!this.turning) return;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.timer = setTimeout(() => this.turning && this.draw(), inSoftware() ? FRAME_MS : 0);
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.setTurning(false);
    this.setDots([]);
    this.points?.geometry.dispose();
    this.points?.material.dispose();
    this.orbit.dispose();
    this.looks.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
