// How well a posed mesh agrees with the photo's mask and points: its depth is drawn into a small picture, read back and compared.

import { Camera, DoubleSide, Mesh, NearestFilter, Scene, ShaderMaterial, Vector2, Vector3, WebGLRenderTarget } from "three";
import { STRIDE, inMask } from "../cloud.js";
import { box } from "../masks.js";
import { cropped, intrinsicsToProjection } from "./frames.js";

export const PROXY_SIDE = 256;
export const FULL_SIDE = 1024;

// Depth along the camera's axis in 24 bits between the mesh's nearest and farthest, and 1 where there is mesh.
const VERTEX = `
varying float away;
void main() {
  vec4 seen = modelViewMatrix * vec4(position, 1.0);
  away = -seen.z;
  gl_Position = projectionMatrix * seen;
}`;
const FRAGMENT = `
uniform vec2 range;
varying float away;
void main() {
  float whole = clamp((away - range.x) / (range.y - range.x), 0.0, 1.0) * 16777215.0;
  float high = floor(whole / 65536.0);
  float middle = floor((whole - high * 65536.0) / 256.0);
  float low = floor(whole - high * 65536.0 - middle * 256.0);
  gl_FragColor = vec4(vec3(high, middle, low) / 255.0, 1.0);
}`;

export class Gauge {
  constructor(renderer) {
    this.renderer = renderer;
    this.material = new ShaderMaterial({ vertexShader: VERTEX, fragmentShader: FRAGMENT, side: DoubleSide, uniforms: { range: { value: new Vector2() } } });
    this.mesh = new Mesh(undefined, this.material);
    Object.assign(this.mesh, { matrixAutoUpdate: false, frustumCulled: false });
    this.scene = new Scene();
    this.scene.add(this.mesh);
    this.camera = new Camera();
    this.target = new WebGLRenderTarget(1, 1, { magFilter: NearestFilter, minFilter: NearestFilter });
  }

  /** photo {camera, width, height}; mask {data, width, height} or null; points Float32Array x y z r g b or null. */
  setTruth(photo, mask, points) {
    Object.assign(this, { photo, mask, points: [] });
    const found = mask && box(mask.data, mask.width, mask.height);
    const [across, down] = mask ? [photo.width / mask.width, photo.height / mask.height] : [1, 1];
    this.around = found && [found[0] * across, found[1] * down, found[2] * across, found[3] * down];
    if (!mask || !points) return;
    const { fx, fy, cx, cy } = photo.camera;
    inMask(points, photo, mask).forEach((inside, at) => {
      const [x, y, z] = points.subarray(at * STRIDE, at * STRIDE + 3);
      if (inside) this.points.push([(fx * x) / z + cx + 0.5, (fy * y) / z + cy + 0.5, z]);
    });
  }

  /** {iou, depth} of a geometry placed by `matrix` in three's camera frame. depth: mean |z_mesh - z_point| / z_point over the
   *  object's points that the mesh covers. Each is null where there is nothing to compare. `side`: longest side in pixels. */
  measure(geometry, matrix, side) {
    const window = this.#windowFor(geometry, matrix);
    const drawn = this.raster(geometry, matrix, window, side);
    return { iou: this.mask ? this.#overlap(drawn, window) : null, depth: this.#residual(drawn, window) };
  }

  /** The part of the photo where mesh or mask can be, by whole pixels: {x, y, width, height}. */
  #windowFor(geometry, matrix) {
    const { camera, width, height } = this.photo;
    let [x0, y0, x1, y1] = this.around ?? [width, height, 0, 0];
    const { min, max } = geometry.boundingBox;
    for (let corner = 0; corner < 8; corner += 1) {
      const at = new Vector3(corner & 1 ? max.x : min.x, corner & 2 ? max.y : min.y, corner & 4 ? max.z : min.z).applyMatrix4(matrix);
      if (at.z >= -1e-6) return { x: 0, y: 0, width, height };
      const [u, v] = [(camera.fx * at.x) / -at.z + camera.cx + 0.5, (camera.fy * -at.y) / -at.z + camera.cy + 0.5];
      [x0, y0, x1, y1] = [Math.min(x0, u), Math.min(y0, v), Math.max(x1, u), Math.max(y1, v)];
    }
    const [x, y] = [Math.max(0, Math.floor(x0) - 1), Math.max(0, Math.floor(y0) - 1)];
    return { x, y, width: Math.max(1, Math.min(width, Math.ceil(x1) + 1) - x), height: Math.max(1, Math.min(height, Math.ceil(y1) + 1) - y) };
  }

  /** The mesh in a window of the photo as {pixels: RGBA rows from below, width, height, near, far}. */
  raster(geometry, matrix, window, side) {
    const scale = Math.min(1, side / Math.max(window.width, window.height));
    const [width, height] = [Math.max(1, Math.round(window.width * scale)), Math.max(1, Math.round(window.height * scale))];
    const sphere = geometry.boundingSphere.clone().applyMatrix4(matrix);
    const far = Math.max(-sphere.center.z + sphere.radius, 1e-6);
    const near = Math.max(-sphere.center.z - sphere.radius, far * 1e-3);
    // Rounding may stretch a side by less than a pixel: each has its own scale.
    const camera = cropped(this.photo.camera, window, width / window.width);
    const tall = cropped(this.photo.camera, window, height / window.height);
    const view = intrinsicsToProjection({ fx: camera.fx, cx: camera.cx, fy: tall.fy, cy: tall.cy }, width, height, near * 0.99, far * 1.01);
    this.camera.projectionMatrix.copy(view);
    this.camera.projectionMatrixInverse.copy(view).invert();
    this.material.uniforms.range.value.set(near, far);
    this.mesh.geometry = geometry;
    this.mesh.matrix.copy(matrix);
    this.mesh.matrixWorldNeedsUpdate = true;
    if (this.target.width !== width || this.target.height !== height) this.target.setSize(width, height);
    const pixels = this.#room(width * height * 4);
    this.renderer.setRenderTarget(this.target);
    this.renderer.render(this.scene, this.camera);
    this.renderer.readRenderTargetPixels(this.target, 0, 0, width, height, pixels);
    this.renderer.setRenderTarget(null);
    return { pixels, width, height, near, far };
  }

  #room(bytes) {
    if (!this.pixels || this.pixels.length < bytes || this.pixels.length > bytes * 8) this.pixels = new Uint8Array(bytes);
    return this.pixels;
  }

  #overlap({ pixels, width, height }, window) {
    const { mask, photo } = this;
    const across = Uint32Array.from({ length: width }, (_, column) => Math.floor(((window.x + ((column + 0.5) * window.width) / width) * mask.width) / photo.width));
    let [both, either] = [0, 0];
    for (let row = 0; row < height; row += 1) {
      const v = window.y + ((height - row - 0.5) * window.height) / height;
      const line = Math.floor((v * mask.height) / photo.height) * mask.width;
      for (let column = 0, at = row * width * 4 + 3; column < width; column += 1, at += 4) {
        const [mesh, object] = [pixels[at] >> 7, mask.data[line + across[column]]];
        both += mesh & object;
        either += mesh | object;
      }
    }
    return either ? both / either : 1;
  }

  #residual({ pixels, width, height, near, far }, window) {
    let [sum, count] = [0, 0];
    for (const [u, v, z] of this.points) {
      const column = Math.floor(((u - window.x) * width) / window.width);
      const row = height - 1 - Math.floor(((v - window.y) * height) / window.height);
      if (column < 0 || row < 0 || column >= width || row >= height) continue;
      const at = (row * width + column) * 4;
      if (!pixels[at + 3]) continue;
      const mesh = near + (((pixels[at] * 256 + pixels[at + 1]) * 256 + pixels[at + 2]) / 16777215) * (far - near);
      sum += Math.abs(mesh - z) / z;
      count += 1;
    }
    return count ? sum / count : null;
  }

  dispose() {
    this.target.dispose();
    this.material.dispose();
  }
}
