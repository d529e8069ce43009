// Two meshes side by side in one renderer: same camera, same light, same framing; or one mesh alone for its rating.
// Drawn on demand. At the start each mesh is seen by the photo's own camera, cropped around the object.

import { Camera, PerspectiveCamera, Scene, Spherical, WebGLRenderer, WebGLRenderTarget } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { box } from "../masks.js";
import { cropped, flip, intrinsicsToProjection, objectToPose } from "./frames.js";
import { Looks, Shown } from "./looks.js";
import { Outline } from "./outline.js";
import { Side } from "./side.js";
import { inSoftware, quality } from "./software.js";

const BACKGROUND = 0x2a2d31;
const MARGIN = 1.3; // of the window around the mask
const WIDEST = 2.2; // how far a candidate may widen it
const FIELD = 30; // degrees, where there is no photo
const SECONDS_PER_TURN = 12;
const SETTLE_MS = 250; // without graphics hardware, from the last move to the full mesh
const FADES = [0.02, 0.14]; // radians off the photo's viewpoint between which the outline goes
const FREE_CAMERA = { fx: 1 / (2 * Math.tan((FIELD * Math.PI) / 360)), fy: 1 / (2 * Math.tan((FIELD * Math.PI) / 360)), cx: 0, cy: 0 };
const FREE_WINDOW = { x: 0, y: 0, width: 1, height: 1 };

export class Duel {
  /** canvas covers both viewports; `places()` gives their rectangles {x, y, width, height} in CSS pixels of it. */
  constructor(canvas, places, { antialias = true, still = false, shading = "matcap" } = {}) {
    this.places = places;
    this.canvas = canvas;
    const { antialias: smooth, ratio } = quality(antialias);
    this.ratio = ratio;
    this.renderer = new WebGLRenderer({ canvas, antialias: smooth, powerPreference: "high-performance" });
    this.renderer.setPixelRatio(this.ratio);
    this.renderer.setClearColor(BACKGROUND);
    this.camera = new Camera();
    this.looks = new Looks();
    this.shading = shading;
    this.sides = [new Side(this.looks), new Side(this.looks)];
    this.outline = new Outline();
    this.outlined = true;
    this.photo = null;
    this.window = FREE_WINDOW;
    this.#addControls(canvas);
    canvas.addEventListener("webglcontextrestored", () => this.draw());
    this.still = still;
    this.turning = false;
    this.angle = 0;
    this.frame = 0;
    this.frames = 0;
    this.reset();
  }

  /** The controls move a camera that nobody looks through: its turn is the view's, its distance the zoom. */
  #addControls(canvas) {
    this.handle = new PerspectiveCamera();
    this.handle.position.set(0, 0, 1);
    this.controls = new OrbitControls(this.handle, canvas);
    this.controls.enablePan = false;
    this.controls.minDistance = 0.25;
    this.controls.maxDistance = 3.5;
    this.controls.addEventListener("start", () => this.setTurning(false));
    this.controls.addEventListener("change", () => this.#move());
  }

  /** The photo {camera: {fx, fy, cx, cy}, width, height, mask: {data, width, height} or null}: what follows is seen by its
   *  camera. null: meshes are centred and of one size. */
  setPhoto(photo) {
    this.photo = photo?.camera ? photo : null;
    const mask = this.photo?.mask ?? null;
    this.outline.set(mask, mask ? mask.width / photo.width : 1);
    this.around = mask && boxOf(mask, mask.width / photo.width);
  }

  /** Show {geometry, pose} per side; null leaves a side empty. */
  show(left, right) {
    [left, right].forEach((item, at) => this.sides[at].show(item?.geometry, item?.pose, this.shading, !this.photo));
    this.window = this.photo ? this.#windowOfPhoto() : FREE_WINDOW;
    this.reset();
    this.#move();
    this.setTurning(!this.still && Boolean(left || right));
  }

  /** The same square of the photo for both sides: around the mask, and around each candidate as it turns. */
  #windowOfPhoto() {
    const { camera, width, height } = this.photo;
    const [x0, y0, x1, y1] = this.around ?? [0, 0, width, height];
    const [u, v, least] = [(x0 + x1) / 2, (y0 + y1) / 2, (Math.max(x1 - x0, y1 - y0) / 2) * MARGIN];
    const reach = this.sides.map(({ shown, middle, radius }) => {
      if (!shown.geometry || middle.z >= -radius) return 0;
      const [x, y, z] = flip(middle.toArray());
      const [du, dv] = [(camera.fx * x) / z + camera.cx + 0.5 - u, (camera.fy * y) / z + camera.cy + 0.5 - v];
      return Math.max(Math.abs(du), Math.abs(dv)) + (Math.max(camera.fx, camera.fy) * radius) / Math.sqrt(z * z - radius * radius);
    });
    const half = Math.min(Math.max(least, ...reach), least * WIDEST);
    return { x: u - half, y: v - half, width: 2 * half, height: 2 * half };
  }

  /** "matcap", "normals", "edges", "wireframe" or "textured" (for geometries decoded so). */
  setShading(shading) {
    this.shading = shading;
    for (const { shown } of this.sides) shown.wear(shown.geometry, shading);
    this.draw();
  }

  /** Whether the mask's outline is drawn at the photo's viewpoint. */
  setOutline(on) {
    this.outlined = on;
    this.draw();
  }

  /** The photo's viewpoint, standing still. */
  reset() {
    this.setTurning(false);
    this.angle = 0;
    this.controls.target.set(0, 0, 0);
    this.handle.position.set(0, 0, 1);
    this.controls.update();
    this.draw();
  }

  setTurning(on) {
    this.turning = on;
    this.last = performance.now();
    if (on) this.draw();
  }

  /** Move the viewpoint by degrees to the right and up: what a drag does, for keys. */
  orbitBy(right, up) {
    this.setTurning(false);
    const at = new Spherical().setFromVector3(this.handle.position);
    at.theta += (right * Math.PI) / 180;
    at.phi -= (up * Math.PI) / 180;
    this.handle.position.setFromSpherical(at.makeSafe());
    this.controls.update();
    this.draw();
  }

  zoomBy(factor) {
    this.handle.position.divideScalar(factor);
    this.controls.update();
    this.draw();
  }

  /** Share of viewing directions (32 equal ones) from which each side was seen since it was shown: [left, right]. */
  coverage() {
    return this.sides.map(({ coverage }) => coverage.share);
  }

  /** Send a geometry to the GPU before it is needed: one triangle of it is drawn, where nobody sees it. */
  warm(geometry) {
    this.nowhere ??= { target: new WebGLRenderTarget(1, 1), scene: new Scene(), shown: new Shown(this.looks) };
    const { target, scene, shown } = this.nowhere;
    scene.add(shown.mesh, shown.lines);
    this.renderer.setRenderTarget(target);
    for (const each of [geometry, geometry.userData.coarse].filter(Boolean)) {
      shown.wear(each, this.shading);
      const drawn = [shown.mesh, shown.lines].filter((part) => part.visible).map((part) => part.geometry);
      for (const part of drawn) part.setDrawRange(0, 3);
      this.renderer.render(scene, this.camera);
      for (const part of drawn) part.setDrawRange(0, Infinity);
    }
    this.renderer.setRenderTarget(null);
    shown.wear(null);
  }

  /** The exact camera of a side as it is drawn now: {camera: {fx, fy, cx, cy}, width, height, pose} in device pixels. */
  viewOf(at) {
    const { width, height } = this.places()[at];
    const size = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
    this.#turn();
    return { camera: this.#cameraFor(...size).camera, width: size[0], height: size[1], pose: objectToPose(this.sides[at].placed()) };
  }

  #turn() {
    const view = this.handle.quaternion.clone().invert();
    for (const side of this.sides) side.turn(this.angle, view);
  }

  /** The window's middle in the middle of width x height pixels, all of it visible when the zoom is 1. */
  #cameraFor(width, height) {
    const scale = Math.min(width, height) / this.window.width / this.handle.position.length();
    const centre = [this.window.x + this.window.width / 2, this.window.y + this.window.height / 2];
    const corner = { x: centre[0] - width / 2 / scale, y: centre[1] - height / 2 / scale };
    const own = this.photo?.camera ?? FREE_CAMERA;
    return { camera: cropped(own, corner, scale), centre, scale };
  }

  /** Draw what has just been shown or moved: without graphics hardware coarsely, until it rests. */
  #move() {
    this.moved = inSoftware();
    clearTimeout(this.rest);
    if (this.moved) this.rest = setTimeout(() => this.settle(), SETTLE_MS);
    this.draw();
  }

  /** Draw the full meshes now. */
  settle() {
    clearTimeout(this.rest);
    this.moved = false;
    this.draw();
  }

  /** Ask for one frame. */
  draw() {
    this.frame ||= requestAnimationFrame((now) => this.#render(now));
  }

  #render(now) {
    this.frame = 0;
    if (this.turning) this.angle += (Math.max(0, now - this.last) / 1000 / SECONDS_PER_TURN) * 2 * Math.PI;
    this.last = now;
    this.#resize();
    const begun = performance.now();
    const coarse = this.moved || (this.turning && inSoftware());
    for (const side of this.sides) side.coarsen(coarse, this.shading);
    this.#turn();
    this.places().forEach((place, at) => place.width && place.height && this.#renderSide(this.sides[at], place));
    this.frames += 1;
    clearTimeout(this.timer);
    if (this.turning) this.#goOn(begun);
  }

  /** The turntable's next frame: only when this one is drawn, and as long again for the keys to be heard. */
  #goOn(begun) {
    const gl = this.renderer.getContext();
    const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const look = () => {
      if (gl.getSyncParameter(sync, gl.SYNC_STATUS) === gl.UNSIGNALED && !gl.isContextLost()) return void (this.timer = setTimeout(look, 4));
      gl.deleteSync(sync);
      this.timer = setTimeout(() => this.turning && this.draw(), Math.max(16, performance.now() - begun));
    };
    look();
  }

  #renderSide(side, { x, y, width, height }) {
    const box = [x, this.canvas.clientHeight - y - height, width, height];
    this.renderer.setViewport(...box);
    this.renderer.setScissor(...box);
    const size = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
    const { camera, centre, scale } = this.#cameraFor(...size);
    const empty = !side.shown.geometry;
    const range = empty ? [0.1, 10] : side.range();
    this.camera.projectionMatrix.copy(intrinsicsToProjection(camera, ...size, ...range));
    this.camera.projectionMatrixInverse.copy(this.camera.projectionMatrix).invert();
    this.renderer.render(side.scene, this.camera);
    if (empty) return;
    side.see();
    const opacity = this.photo && this.outlined ? (FADES[1] - side.off) / (FADES[1] - FADES[0]) : 0;
    this.outline.draw(this.renderer, { centre, scale: scale / this.ratio, size: [width, height], opacity: Math.min(1, opacity) });
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
    clearTimeout(this.rest);
    this.turning = false;
    this.controls.dispose();
    this.outline.dispose();
    this.looks.dispose();
    this.nowhere?.target.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}

/** [x0, y0, x1, y1] around a mask, in photo pixels that are `grain` mask pixels wide; null when it is empty. */
function boxOf(mask, grain) {
  const found = box(mask.data, mask.width, mask.height);
  return found && found.map((value) => value / grain);
}
