// The 3D view of the align page: points of the scene, the mesh, and a gizmo that moves it. Drawn on demand.

import { BufferAttribute, BufferGeometry, Group, Mesh, PerspectiveCamera, Points, PointsMaterial, Scene, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { TransformControls } from "three/addons/controls/TransformControls.js";
import { flip, objectToPose, poseToObject } from "./frames.js";
import { clay } from "./meshes.js";

const LEAST_SCALE = 1e-4;

/** x y z r g b per point (OpenCV camera, colours 0..1) as two arrays in three's frame. */
export function splitPoints(values) {
  const count = Math.floor(values.length / 6);
  const positions = new Float32Array(count * 3);
  const colours = new Float32Array(count * 3);
  for (let at = 0; at < count; at += 1) {
    positions.set(flip([values[at * 6], values[at * 6 + 1], values[at * 6 + 2]]), at * 3);
    // Colours of a photo are sRGB; three works in linear light.
    for (let channel = 0; channel < 3; channel += 1) colours[at * 3 + channel] = values[at * 6 + 3 + channel] ** 2.2;
  }
  return { positions, colours };
}

export class Space {
  /** onDrag(pose) while the gizmo moves the mesh, onDrop(before, after) when it lets go. */
  constructor(canvas, { onDrag, onDrop, antialias = true }) {
    this.canvas = canvas;
    this.renderer = new WebGLRenderer({ canvas, antialias });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setClearColor(0x2a2d31);
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(45, 1, 0.01, 1000);
    this.material = clay();
    this.mesh = new Mesh(undefined, this.material);
    this.holder = new Group();
    this.holder.add(this.mesh);
    this.holder.visible = false;
    this.scene.add(this.holder);
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
      if (value) before = this.pose();
      else onDrop(before, this.pose());
    });
    this.gizmo.addEventListener("objectChange", () => {
      const scale = this.holder.scale;
      for (const axis of ["x", "y", "z"]) scale[axis] = Math.max(LEAST_SCALE, scale[axis]);
      onDrag(this.pose());
    });
  }

  /** The pose of the mesh as it stands. The holder's origin is the mesh's middle, so that the gizmo sits there. */
  pose() {
    const pose = objectToPose(this.holder);
    const [x, y, z] = this.mesh.position.toArray().map((value, axis) => value * pose.s[axis]);
    return { ...pose, t: pose.t.map((value, row) => value + pose.R[row * 3] * x + pose.R[row * 3 + 1] * y + pose.R[row * 3 + 2] * z) };
  }

  show(geometry, pose) {
    this.mesh.geometry = geometry;
    this.mesh.position.copy(geometry.boundingBox.getCenter(new Vector3()).negate());
    this.holder.visible = true;
    this.gizmo.attach(this.holder);
    this.place(pose);
    this.fromPhoto();
  }

  place(pose) {
    const { position, quaternion, scale } = poseToObject(pose);
    const middle = this.mesh.position.clone().negate().multiply(scale).applyQuaternion(quaternion);
    this.holder.position.copy(position).add(middle);
    this.holder.quaternion.copy(quaternion);
    this.holder.scale.copy(scale);
    this.draw();
  }

  setPoints(values) {
    const { positions, colours } = splitPoints(values);
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(positions, 3));
    geometry.setAttribute("color", new BufferAttribute(colours, 3));
    this.points = new Points(geometry, new PointsMaterial({ size: 2, sizeAttenuation: false, vertexColors: true }));
    this.scene.add(this.points);
    this.draw();
  }

  clearPoints() {
    if (!this.points) return;
    this.scene.remove(this.points);
    this.points.geometry.dispose();
    this.points.material.dispose();
    this.points = null;
  }

  setPointSize(pixels) {
    if (this.points) this.points.material.size = pixels;
    this.draw();
  }

  setMode(mode) {
    this.gizmo.setMode(mode);
    this.draw();
  }

  /** Show or hide "mesh", "points" or "gizmo". */
  toggle(what, on) {
    if (what === "mesh") this.mesh.visible = on;
    if (what === "points" && this.points) this.points.visible = on;
    if (what === "gizmo") {
      this.gizmo.enabled = on;
      this.gizmo.getHelper().visible = on;
    }
    this.draw();
  }

  /** Size of the mesh as it stands: the diagonal of its box. */
  diagonal() {
    const size = this.mesh.geometry.boundingBox.getSize(new Vector3()).multiply(this.holder.scale);
    return size.length();
  }

  /** View from where the photo was taken; "side" and "top" look at the mesh from there. */
  fromPhoto(preset = "photo") {
    const middle = this.holder.position.clone();
    const reach = Math.max(this.diagonal() * 2.2, 1e-3);
    const toCamera = middle.clone().negate().normalize();
    const offsets = {
      photo: toCamera,
      side: new Vector3(1, 0.15, 0),
      top: new Vector3(0, 1, 0.02),
    };
    this.orbit.target.copy(middle);
    this.camera.position.copy(middle).addScaledVector(offsets[preset].normalize(), reach);
    this.camera.near = reach / 500;
    this.camera.far = reach * 500;
    this.camera.updateProjectionMatrix();
    this.orbit.update();
    this.draw();
  }

  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      if (!width || !height) return;
      this.renderer.setSize(width, height, false);
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
      this.renderer.render(this.scene, this.camera);
    });
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.gizmo.dispose();
    this.orbit.dispose();
    this.clearPoints();
    this.material.matcap.dispose();
    this.material.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
