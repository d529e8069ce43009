// The photo's own view: a posed mesh drawn through the camera's intrinsics over the photo, as a surface, an outline or its
// difference from the mask; and how well it agrees with mask and points.

import { Camera, DataTexture, DoubleSide, Mesh, MeshBasicMaterial, NearestFilter, PlaneGeometry, RedFormat, Scene, ShaderMaterial, Vector2, WebGLRenderTarget, WebGLRenderer } from "three";
import { intrinsicsToProjection, poseToObject } from "./frames.js";
import { clay } from "./looks.js";
import { FULL_SIDE, Gauge, PROXY_SIDE } from "./measure.js";
import { inSoftware, quality } from "./software.js";

export const MODES = ["shaded", "outline", "difference"];
const MOST_COVERED = 2048;
const VERTEX = `
varying vec2 at;
void main() { at = uv; gl_Position = vec4(position.xy * 2.0, 0.0, 1.0); }`;
// Okabe and Ito's colours, told apart by every kind of colour vision: mesh only orange, mask only blue, both light grey.
const FRAGMENT = `
uniform sampler2D mesh, mask;
uniform vec2 step;
uniform bool outline;
varying vec2 at;
float covered(vec2 off) { return texture2D(mesh, at + off * step).a; }
// Whether the mesh's rim is within a radius in pixels. No loop: drawn in software, one would cost as much as the mesh.
bool rim(float own, float r) {
  float d = r * 0.707;
  float sum = covered(vec2(r, 0.0)) + covered(vec2(-r, 0.0)) + covered(vec2(0.0, r)) + covered(vec2(0.0, -r))
    + covered(vec2(d, d)) + covered(vec2(-d, d)) + covered(vec2(d, -d)) + covered(vec2(-d, -d));
  return abs(sum - own * 8.0) > 0.5;
}
void main() {
  float own = covered(vec2(0.0));
  if (outline) {
    if (!rim(own, 3.0)) discard;
    gl_FragColor = rim(own, 1.5) ? vec4(0.337, 0.706, 0.914, 1.0) : vec4(0.0, 0.0, 0.0, 0.7);
    return;
  }
  float object = step.x > 0.0 && texture2D(mask, vec2(at.x, 1.0 - at.y)).r > 0.25 ? 1.0 : 0.0;
  if (own + object < 0.5) discard;
  vec3 colour = own > 0.5 ? (object > 0.5 ? vec3(0.85) : vec3(0.902, 0.624, 0.0)) : vec3(0.0, 0.447, 0.698);
  gl_FragColor = vec4(colour, 1.0);
}`;

export class Overlay {
  constructor(canvas, { antialias = true } = {}) {
    this.canvas = canvas;
    const { antialias: smooth, ratio } = quality(antialias);
    this.ratio = ratio;
    this.renderer = new WebGLRenderer({ canvas, antialias: smooth, alpha: true, premultipliedAlpha: false });
    this.renderer.setPixelRatio(this.ratio);
    this.renderer.setClearColor(0x000000, 0);
    this.scene = new Scene();
    this.camera = new Camera();
    this.material = clay();
    this.flat = new MeshBasicMaterial({ side: DoubleSide });
    this.mesh = new Mesh(undefined, this.material);
    Object.assign(this.mesh, { visible: false, frustumCulled: false });
    this.scene.add(this.mesh);
    this.gauge = new Gauge(this.renderer);
    this.mode = "shaded";
    this.#addFlat();
    this.frame = 0;
    canvas.addEventListener("webglcontextrestored", () => this.draw());
  }

  /** What outline and difference need: the mesh's coverage as a picture, and a plane that shows it. */
  #addFlat() {
    this.coverage = new WebGLRenderTarget(1, 1, { minFilter: NearestFilter, magFilter: NearestFilter });
    const uniforms = { mesh: this.coverage.texture, mask: null, step: new Vector2(), outline: true };
    this.plane = new Mesh(
      new PlaneGeometry(),
      new ShaderMaterial({
        vertexShader: VERTEX,
        fragmentShader: FRAGMENT,
        uniforms: Object.fromEntries(Object.entries(uniforms).map(([name, value]) => [name, { value }])),
        depthTest: false,
        transparent: true,
      }),
    );
    this.plane.frustumCulled = false;
    this.paper = new Scene();
    this.paper.add(this.plane);
  }

  /** The photo's size and its camera {fx, fy, cx, cy} in pixels of it. */
  setCamera({ camera, width, height }) {
    this.size = [width, height];
    this.intrinsics = camera;
    const scale = Math.min(1, PROXY_SIDE / Math.max(width, height));
    this.maskSize = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    this.setTruth({});
  }

  /** What the mesh is compared with, after setCamera: mask {data: bytes 0 or 1, width, height}, points x y z r g b. */
  setTruth({ mask = null, points = null }) {
    this.gauge.setTruth({ camera: this.intrinsics, width: this.size[0], height: this.size[1] }, mask, points);
    const { uniforms } = this.plane.material;
    uniforms.mask.value?.dispose();
    uniforms.mask.value = null;
    if (mask) {
      const bytes = mask.data.map((value) => value * 255);
      uniforms.mask.value = new DataTexture(bytes, mask.width, mask.height, RedFormat);
      uniforms.mask.value.unpackAlignment = 1;
      uniforms.mask.value.needsUpdate = true;
    }
    this.draw();
  }

  /** Show a geometry at a pose. */
  show(geometry, pose) {
    this.geometry = geometry;
    this.proxy = geometry.userData.coarse ?? geometry;
    this.mesh.visible = true;
    this.place(pose);
  }

  /** Move the mesh. live: during a drag; without graphics hardware its proxy is drawn then. */
  place(pose, { live = false } = {}) {
    const { position, quaternion, scale } = poseToObject(pose);
    this.mesh.geometry = live && inSoftware() ? this.proxy : this.geometry;
    this.mesh.position.copy(position);
    this.mesh.quaternion.copy(quaternion);
    this.mesh.scale.copy(scale);
    this.mesh.updateMatrixWorld();
    this.#range();
    this.draw();
  }

  #range() {
    const sphere = this.mesh.geometry.boundingSphere.clone().applyMatrix4(this.mesh.matrixWorld);
    const depth = Math.abs(sphere.center.z) + sphere.radius;
    this.camera.projectionMatrix.copy(intrinsicsToProjection(this.intrinsics, ...this.size, depth * 1e-3, depth * 2));
    this.camera.projectionMatrixInverse.copy(this.camera.projectionMatrix).invert();
  }

  /** "shaded", "outline" (of the mesh) or "difference" (mesh only, mask only, both). */
  setMode(mode) {
    this.mode = mode;
    this.draw();
  }

  setOpacity(value) {
    this.canvas.style.opacity = value;
  }

  /** Agreement with mask and points: {iou, depth}, null where there is nothing to compare. proxy: quick, within 0.01. */
  measure({ proxy = false } = {}) {
    const geometry = proxy ? this.proxy : this.geometry;
    return this.gauge.measure(geometry, this.mesh.matrixWorld, proxy ? PROXY_SIDE : FULL_SIDE);
  }

  /** Silhouette of the posed mesh: bytes 0 or 1 by rows from the top, of size maskSize. */
  silhouette() {
    const whole = { x: 0, y: 0, width: this.size[0], height: this.size[1] };
    const { pixels, width, height } = this.gauge.raster(this.geometry, this.mesh.matrixWorld, whole, PROXY_SIDE);
    const mask = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1)
      for (let column = 0; column < width; column += 1) mask[row * width + column] = pixels[((height - 1 - row) * width + column) * 4 + 3] >> 7;
    return mask;
  }

  /** The photo under the canvas is zoomed: where the whole of it lies, {x, y, width, height} in CSS pixels. */
  frameAt(place) {
    this.framed = place;
    this.draw();
  }

  /** Where the photo lies in the canvas: as told, else the largest rectangle of its shape. */
  placeOfPhoto() {
    if (this.framed) return this.framed;
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(clientWidth / this.size[0], clientHeight / this.size[1]);
    const [width, height] = [this.size[0] * scale, this.size[1] * scale];
    return { x: (clientWidth - width) / 2, y: (clientHeight - height) / 2, width, height };
  }

  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const { clientWidth, clientHeight } = this.canvas;
      if (!this.mesh.visible || !clientWidth || !clientHeight) return;
      this.#resize(clientWidth, clientHeight);
      const { x, y, width, height } = this.placeOfPhoto();
      if (this.mode !== "shaded") this.#cover(width, height);
      this.renderer.setViewport(x, clientHeight - y - height, width, height);
      this.renderer.setScissor(x, clientHeight - y - height, width, height);
      this.renderer.setScissorTest(true);
      this.renderer.render(this.mode === "shaded" ? this.scene : this.paper, this.camera);
      this.renderer.setScissorTest(false);
    });
  }

  #resize(width, height) {
    if (this.drawn?.[0] === width && this.drawn?.[1] === height) return;
    this.drawn = [width, height];
    this.renderer.setSize(width, height, false);
  }

  #cover(width, height) {
    // A zoomed photo may be far larger than its view.
    const fine = Math.min(this.ratio, MOST_COVERED / Math.max(width, height));
    const [across, down] = [width, height].map((side) => Math.max(1, Math.round(side * fine)));
    if (this.coverage.width !== across || this.coverage.height !== down) this.coverage.setSize(across, down);
    const { uniforms } = this.plane.material;
    uniforms.outline.value = this.mode === "outline";
    uniforms.step.value.set(uniforms.mask.value || this.mode === "outline" ? 1 / width : 0, 1 / height);
    this.mesh.material = this.flat;
    this.renderer.setRenderTarget(this.coverage);
    this.renderer.render(this.scene, this.camera);
    this.renderer.setRenderTarget(null);
    this.mesh.material = this.material;
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.gauge.dispose();
    this.coverage.dispose();
    this.plane.geometry.dispose();
    this.plane.material.uniforms.mask.value?.dispose();
    for (const material of [this.plane.material, this.flat]) material.dispose();
    this.material.matcap.dispose();
    this.material.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
