// The outline of a mask as line segments, and its drawing over a view of the photo: a bright line in a dark hem.

import { BufferAttribute, BufferGeometry, Camera, Color, DoubleSide, Mesh, Scene, ShaderMaterial, Vector2 } from "three";

const WIDTHS = [5, 2.5];
const COLOURS = [0x000000, 0xffb000];

/** Segments [x0, y0, x1, y1, ...] around the parts of a mask (bytes 0 or 1 by rows), in its pixels from its top left
 *  corner; corners are cut at half a pixel, so that slanted edges are smooth. */
export function contour(mask, width, height) {
  const at = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? mask[y * width + x] : 0);
  const found = [];
  for (let y = -1; y < height; y += 1)
    for (let x = -1; x < width; x += 1) {
      const [a, b, c, d] = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)];
      if (a === b && b === c && c === d) continue;
      // Middles of the cell's sides: top, right, bottom, left; a cell lies between four pixel centres.
      const ends = [[x + 1, y + 0.5], [x + 1.5, y + 1], [x + 1, y + 1.5], [x + 0.5, y + 1]];
      const crossed = [a !== b, b !== c, c !== d, d !== a].flatMap((cross, side) => (cross ? [ends[side]] : []));
      if (crossed.length === 4 && a) crossed.push(crossed.shift());
      for (let pair = 0; pair < crossed.length; pair += 2) found.push(...crossed[pair], ...crossed[pair + 1]);
    }
  return found;
}

const VERTEX = `
attribute vec4 ends;
uniform vec2 centre, size;
uniform float scale, wide;
void main() {
  vec2 along = normalize(ends.zw - ends.xy);
  vec2 at = ((position.x > 0.0 ? ends.zw : ends.xy) - centre) * scale;
  at += (along * position.x + vec2(-along.y, along.x) * position.y) * wide * 0.5;
  gl_Position = vec4(at.x / size.x * 2.0, -at.y / size.y * 2.0, 0.0, 1.0);
}`;
const FRAGMENT = `
uniform vec3 colour;
uniform float opacity;
void main() { gl_FragColor = vec4(colour, opacity); }`;

export class Outline {
  constructor() {
    this.scene = new Scene();
    this.camera = new Camera();
    this.lines = WIDTHS.map((width, at) => {
      const uniforms = { centre: new Vector2(), size: new Vector2(), scale: 1, wide: width, colour: new Color(COLOURS[at]), opacity: 1 };
      const material = new ShaderMaterial({
        vertexShader: VERTEX,
        fragmentShader: FRAGMENT,
        uniforms: Object.fromEntries(Object.entries(uniforms).map(([name, value]) => [name, { value }])),
        side: DoubleSide,
        transparent: true,
        depthTest: false,
        depthWrite: false,
      });
      material.uniforms.colour.value.convertLinearToSRGB();
      const line = new Mesh(new BufferGeometry(), material);
      Object.assign(line, { frustumCulled: false, renderOrder: at });
      this.scene.add(line);
      return line;
    });
  }

  /** mask {data, width, height} of the whole photo, whose own pixels are `grain` mask pixels wide; null: no outline. */
  set(mask, grain = 1) {
    this.lines[0].geometry.dispose();
    this.present = Boolean(mask);
    if (!mask) return;
    const segments = contour(mask.data, mask.width, mask.height);
    const count = segments.length / 4;
    const geometry = new BufferGeometry();
    const corners = new Float32Array(count * 12);
    const ends = new Float32Array(count * 16);
    const index = new Uint32Array(count * 6);
    for (let at = 0; at < count; at += 1) {
      corners.set([-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0], at * 12);
      const own = [0, 1, 2, 3].map((each) => segments[at * 4 + each] / grain);
      for (let corner = 0; corner < 4; corner += 1) ends.set(own, at * 16 + corner * 4);
      index.set([0, 1, 2, 0, 2, 3].map((corner) => at * 4 + corner), at * 6);
    }
    geometry.setAttribute("position", new BufferAttribute(corners, 3));
    geometry.setAttribute("ends", new BufferAttribute(ends, 4));
    geometry.setIndex(new BufferAttribute(index, 1));
    for (const line of this.lines) line.geometry = geometry;
  }

  /** Draw into the present viewport of size [width, height] CSS pixels: `centre` (photo pixels) in its middle. */
  draw(renderer, { centre, scale, size, opacity }) {
    if (!this.present || opacity <= 0) return;
    for (const { material } of this.lines) {
      material.uniforms.centre.value.set(...centre);
      material.uniforms.size.value.set(...size);
      material.uniforms.scale.value = scale;
      material.uniforms.opacity.value = opacity;
    }
    renderer.autoClear = false;
    renderer.render(this.scene, this.camera);
    renderer.autoClear = true;
  }

  dispose() {
    this.lines[0].geometry.dispose();
    for (const { material } of this.lines) material.dispose();
  }
}
