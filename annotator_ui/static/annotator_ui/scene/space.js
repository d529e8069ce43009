// The 3D view of the align page: points of the scene, the mesh, and a gizmo that moves it. Drawn on demand.

import { Box3Helper, Group, Matrix4, Mesh, PerspectiveCamera, Raycaster, Scene, Vector2, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { TransformControls } from "three/addons/controls/TransformControls.js";
import { STRIDE, inMask } from "../cloud.js";
import { aim } from "./aim.js";
import { flip, objectToPose, poseToObject } from "./frames.js";
import { clay } from "./looks.js";
import { cloud, splitPoints, trimmed } from "./points.js";
import { inSoftware, quality } from "./software.js";

const LEAST_SCALE = 1e-4;
const FIELD = 45;
const TARGET_COLOUR = 0x56b4e9;
const PICK_PIXELS = 8;
const DRAGGED_POINTS = 12_000;
// Where the viewer stands, in the mesh's own frame (y up, +z its front).
const PRESETS = {
  front: [0, 0, 1],
  back: [0, 0, -1],
  left: [-1, 0, 0],
  right: [1, 0, 0],
  top: [0, 1, 0.001],
  bottom: [0, -1, 0.001],
};
export const VIEWS = ["photo", ...Object.keys(PRESETS)];

export class Space {
  /** onDrag(pose) while the gizmo moves the mesh, onDrop(before, after) when it lets go. */
  constructor(canvas, { onDrag, onDrop, antialias = true }) {
    this.canvas = canvas;
    const { antialias: smooth, ratio } = quality(antialias);
    this.ratio = ratio;
    this.renderer = new WebGLRenderer({ canvas, antialias: smooth });
    this.renderer.setPixelRatio(this.ratio);
    this.renderer.setClearColor(0x2a2d31);
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(FIELD, 1, 0.01, 1000);
    this.material = clay();
    this.mesh = new Mesh(undefined, this.material);
    this.holder = new Group();
    this.holder.add(this.mesh);
    this.holder.visible = false;
    this.scene.add(this.holder);
    this.target = new Group();
    this.scene.add(this.target);
    this.visible = { mesh: true, points: true, target: true, gizmo: true };
    this.pointSize = 2;
    this.orbit = new OrbitControls(this.camera, canvas);
    this.orbit.addEventListener("change", () => this.draw());
    this.#addGizmo(onDrag, onDrop);
    canvas.addEventListener("webglcontextrestored", () => this.draw());
    this.frame = 0;
  }

  #addGizmo(onDrag, onDrop) {
    this.gizmo = new TransformControls(this.camera, this.canvas);
    this.gizmo.setSpace("local");
    this.gizmo.setSize(0.8);
    this.scene.add(this.gizmo.getHelper());
    let before = null;
    this.gizmo.addEventListener("change", () => this.draw());
    this.gizmo.addEventListener("dragging-changed", ({ value }) => {
      this.orbit.enabled = !value;
      this.#coarsen(value && inSoftware());
      if (value) before = this.pose();
      else onDrop(before, this.pose());
    });
    this.gizmo.addEventListener("objectChange", () => {
      const scale = this.holder.scale;
      for (const axis of ["x", "y", "z"]) scale[axis] = Math.max(LEAST_SCALE, scale[axis]);
      onDrag(this.pose());
    });
  }

  /** During a drag without graphics hardware: the mesh's proxy and a part of the points. */
  #coarsen(on) {
    this.mesh.geometry = (on && this.geometry.userData.coarse) || this.geometry;
    this.points?.geometry.setDrawRange(0, on ? DRAGGED_POINTS : Infinity);
    this.draw();
  }

  /** The pose of the mesh as it stands. The holder's origin is the pivot, so that the gizmo sits there and holds it. */
  pose() {
    const pose = objectToPose(this.holder);
    const [x, y, z] = this.mesh.position.toArray().map((value, axis) => value * pose.s[axis]);
    return { ...pose, t: pose.t.map((value, row) => value + pose.R[row * 3] * x + pose.R[row * 3 + 1] * y + pose.R[row * 3 + 2] * z) };
  }

  /** Show a geometry at a pose, seen as in the photo. */
  show(geometry, pose) {
    this.geometry = this.mesh.geometry = geometry;
    this.mesh.position.copy(geometry.boundingBox.getCenter(new Vector3()).negate());
    this.holder.visible = true;
    if (this.visible.gizmo) this.gizmo.attach(this.holder);
    this.place(pose);
    this.view("photo");
  }

  place(pose) {
    const { position, quaternion, scale } = poseToObject(pose);
    const middle = this.mesh.position.clone().negate().multiply(scale).applyQuaternion(quaternion);
    this.holder.position.copy(position).add(middle);
    this.holder.quaternion.copy(quaternion);
    this.holder.scale.copy(scale);
    this.draw();
  }

  /** The point of the GLB [x, y, z] that turns and scales hold; the gizmo goes there. The mesh stays where it is. */
  setPivot(pivot) {
    const pose = this.pose();
    this.mesh.position.set(...pivot).negate();
    this.place(pose);
  }

  /** What lies under a point of the canvas (CSS pixels from its top left corner), in the GLB's frame: on the mesh, else the
   *  nearest point of the scene within a few pixels; null when neither is there. */
  pick(x, y) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.#aim(width, height);
    this.scene.updateMatrixWorld();
    const ray = new Raycaster();
    ray.setFromCamera(new Vector2((x / width) * 2 - 1, 1 - (y / height) * 2), this.camera);
    const [hit] = this.visible.mesh && this.holder.visible ? ray.intersectObject(this.mesh) : [];
    const found = hit ? hit.point : this.#pointAt(x, y, width, height);
    return found && this.mesh.worldToLocal(found.clone()).toArray();
  }

  #pointAt(x, y, width, height) {
    if (!this.points || !this.visible.points) return null;
    const seen = new Matrix4().multiplyMatrices(this.camera.projectionMatrix, this.camera.matrixWorldInverse);
    const values = this.points.geometry.attributes.position.array;
    const at = new Vector3();
    let [best, least] = [null, PICK_PIXELS];
    for (let first = 0; first < values.length; first += 3) {
      at.fromArray(values, first).applyMatrix4(seen);
      const off = Math.hypot(((at.x + 1) / 2) * width - x, ((1 - at.y) / 2) * height - y);
      if (Math.abs(at.z) < 1 && off < least) [best, least] = [first, off];
    }
    return best === null ? null : new Vector3().fromArray(values, best);
  }

  setPoints(values) {
    this.clearPoints();
    this.values = values;
    const { positions, colours } = splitPoints(values);
    this.points = cloud(positions, colours, { vertexColors: true, size: this.pointSize });
    this.points.visible = this.visible.points;
    this.scene.add(this.points);
    this.draw();
  }

  clearPoints() {
    this.#clearTarget();
    if (!this.points) return;
    this.scene.remove(this.points);
    this.points.geometry.dispose();
    this.points.material.dispose();
    this.points = null;
  }

  /** Mark the object's own points, those inside the mask {data, width, height} of the photo {camera, width, height}, and
   *  the box around them; after setPoints. */
  setTarget(photo, mask) {
    this.#clearTarget();
    if (!this.points) return;
    const inside = inMask(this.values, photo, mask);
    const own = [];
    inside.forEach((is, at) => is && own.push(...flip([...this.values.subarray(at * STRIDE, at * STRIDE + 3)])));
    if (!own.length) return;
    const marked = cloud(new Float32Array(own), null, { color: TARGET_COLOUR, size: this.pointSize + 1 });
    const box = new Box3Helper(trimmed(own), TARGET_COLOUR);
    this.target.add(marked, box);
    this.target.visible = this.visible.target;
    this.draw();
  }

  #clearTarget() {
    for (const part of [...this.target.children]) {
      this.target.remove(part);
      part.geometry.dispose();
      part.material.dispose();
    }
  }

  setPointSize(pixels) {
    this.pointSize = pixels;
    if (this.points) this.points.material.size = pixels;
    for (const part of this.target.children) if (part.isPoints) part.material.size = pixels + 1;
    this.draw();
  }

  /** "translate", "rotate" or "scale": single axes, and all three alike by the handle in the middle. */
  setMode(mode) {
    this.gizmo.setMode(mode);
    this.draw();
  }

  /** Show or hide "mesh", "points", "target" or "gizmo". */
  toggle(what, on) {
    this.visible[what] = on;
    if (what === "mesh") this.mesh.visible = on;
    if (what === "points" && this.points) this.points.visible = on;
    if (what === "target") this.target.visible = on;
    if (what === "gizmo") {
      this.gizmo.enabled = on;
      if (on && this.holder.visible) this.gizmo.attach(this.holder);
      else this.gizmo.detach();
    }
    this.draw();
  }

  /** Size of the mesh as it stands: the diagonal of its box. */
  diagonal() {
    const size = this.geometry.boundingBox.getSize(new Vector3()).multiply(this.holder.scale);
    return size.length();
  }

  /** Look at the mesh from where the photo was taken, or from one of its own sides (VIEWS). */
  view(preset = "photo") {
    this.holder.updateMatrixWorld();
    const middle = this.geometry.boundingBox.getCenter(new Vector3()).applyMatrix4(this.mesh.matrixWorld);
    const reach = Math.max(this.diagonal() * 2.2, 1e-3);
    const from = preset === "photo" ? middle.clone().negate() : new Vector3(...PRESETS[preset]).applyQuaternion(this.holder.quaternion);
    aim(this, middle, from, reach);
    this.draw();
  }

  /** The exact camera of the view: {camera: {fx, fy, cx, cy}, width, height, pose} in device pixels, pose as seen from it. */
  viewNow() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.round(side * this.ratio));
    this.#aim(width, height);
    this.scene.updateMatrixWorld();
    const focal = height / 2 / Math.tan((this.camera.fov * Math.PI) / 360);
    const matrix = new Matrix4().multiplyMatrices(this.camera.matrixWorldInverse, this.mesh.matrixWorld);
    const [position, quaternion, scale] = [new Vector3(), this.holder.quaternion.clone(), new Vector3()];
    matrix.decompose(position, quaternion, scale);
    return { camera: { fx: focal, fy: focal, cx: (width - 1) / 2, cy: (height - 1) / 2 }, width, height, pose: objectToPose({ position, quaternion, scale }) };
  }

  #aim(width, height) {
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.camera.updateMatrixWorld();
  }

  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      if (!width || !height) return;
      if (this.drawn?.[0] !== width || this.drawn?.[1] !== height) {
        this.drawn = [width, height];
        this.renderer.setSize(width, height, false);
      }
      this.#aim(width, height);
      this.renderer.render(this.scene, this.camera);
    });
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.gizmo.detach();
    this.gizmo.dispose();
    this.orbit.dispose();
    this.clearPoints();
    this.material.matcap.dispose();
    this.material.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
