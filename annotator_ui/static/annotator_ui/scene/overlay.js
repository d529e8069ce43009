// The photo's own view: a posed mesh drawn through the camera's intrinsics over the photo, and its silhouette as a mask.

import { Camera, Color, DoubleSide, Mesh, MeshBasicMaterial, Scene, WebGLRenderTarget, WebGLRenderer } from "three";
import { intrinsicsToProjection, poseToObject } from "./frames.js";
import { clay } from "./meshes.js";

const MASK_SIDE = 256;

export class Overlay {
  constructor(canvas, { antialias = true } = {}) {
    this.canvas = canvas;
    this.renderer = new WebGLRenderer({ canvas, antialias, alpha: true });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setClearColor(0x000000, 0);
    this.scene = new Scene();
    this.camera = new Camera();
    this.material = clay();
    this.white = new MeshBasicMaterial({ color: new Color(1, 1, 1), side: DoubleSide });
    this.mesh = new Mesh(undefined, this.material);
    this.mesh.visible = false;
    this.scene.add(this.mesh);
    this.target = new WebGLRenderTarget(1, 1);
    this.frame = 0;
    canvas.addEventListener("webglcontextrestored", () => this.draw());
  }

  /** The photo's size and its camera {fx, fy, cx, cy} in pixels of it. */
  setCamera({ camera, width, height }) {
    this.size = [width, height];
    this.intrinsics = camera;
    const scale = Math.min(1, MASK_SIDE / Math.max(width, height));
    this.maskSize = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    this.target.setSize(...this.maskSize);
    this.pixels = new Uint8Array(this.maskSize[0] * this.maskSize[1] * 4);
  }

  show(geometry, pose) {
    this.mesh.geometry = geometry;
    this.mesh.visible = true;
    this.place(pose);
  }

  place(pose) {
    const { position, quaternion, scale } = poseToObject(pose);
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

  /** The largest rectangle of the photo's shape in the canvas: {x, y, width, height} in CSS pixels. */
  placeOfPhoto() {
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
      this.renderer.setSize(clientWidth, clientHeight, false);
      const { x, y, width, height } = this.placeOfPhoto();
      this.renderer.setViewport(x, clientHeight - y - height, width, height);
      this.renderer.setScissor(x, clientHeight - y - height, width, height);
      this.renderer.setScissorTest(true);
      this.renderer.render(this.scene, this.camera);
    });
  }

  /** Silhouette of the posed mesh: bytes 0 or 1 by rows from the top, of size maskSize. */
  silhouette() {
    const [width, height] = this.maskSize;
    this.mesh.material = this.white;
    this.renderer.setRenderTarget(this.target);
    this.renderer.setScissorTest(false);
    this.renderer.clear();
    this.renderer.render(this.scene, this.camera);
    this.renderer.readRenderTargetPixels(this.target, 0, 0, width, height, this.pixels);
    this.renderer.setRenderTarget(null);
    this.mesh.material = this.material;
    const mask = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1)
      for (let column = 0; column < width; column += 1)
        mask[row * width + column] = this.pixels[((height - 1 - row) * width + column) * 4 + 3] > 127 ? 1 : 0;
    return mask;
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.target.dispose();
    this.material.matcap.dispose();
    this.material.dispose();
    this.white.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
