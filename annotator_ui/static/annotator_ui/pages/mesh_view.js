// A mesh to be turned and looked at, with numbered pins on it; with `onPick`, a click on it gives a point to pin to.

import * as api from "../api.js";
import { Bench } from "../scene/bench.js";
import { release } from "../scene/looks.js";
import { decode } from "../scene/meshes.js";
import { t, w } from "../words.js";
import { fill, h, keyButton } from "./ui.js";

const SHADINGS = { matcap: w("Plain"), textured: w("Textured"), normals: w("Normals"), edges: w("Edges"), wireframe: w("Wireframe") };
const STILL_PIXELS = 4; // a press that moves farther is a drag
const STEP = 10; // degrees per arrow key
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

export class MeshView {
  /** keys: the table whose keys the buttons name; onPick(point), onPin(number): what a click on the mesh or a pin does. */
  constructor(holder, { keys, onPick = null, onPin = () => {} }) {
    Object.assign(this, { onPick, onPin, picking: false, pins: [], geometry: null });
    this.canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": t("The mesh; drag or use the arrow keys to turn it") });
    this.markers = h("div", { class: "markers" });
    this.cross = h("div", { class: "cross", "aria-hidden": "true", hidden: true });
    this.select = h("select", { "aria-label": t("Shading"), onchange: () => this.setShading(this.select.value) });
    this.pinButton = onPick ? keyButton(keys, "pin", t("Pin a remark"), () => this.setPicking(!this.picking), { "aria-pressed": "false" }) : null;
    const act = (action, label) => keyButton(keys, action, label, () => this.act(action));
    fill(
      holder,
      h("div", { class: "picture bench" }, this.canvas, this.markers, this.cross),
      h("div", { class: "row small" }, act("turn", t("Turntable")), act("home", t("First view")), h("label", { class: "row" }, t("Shading"), this.select), this.pinButton),
    );
    this.bench = new Bench(this.canvas, { onDraw: () => this.#placePins() });
    this.#listen();
    this.watch = new ResizeObserver(() => this.bench.draw());
    this.watch.observe(this.canvas);
  }

  #listen() {
    let from = null;
    this.canvas.addEventListener("pointerdown", (event) => (from = [event.clientX, event.clientY]));
    this.canvas.addEventListener("pointerup", (event) => {
      const moved = from ? Math.hypot(event.clientX - from[0], event.clientY - from[1]) : Infinity;
      if (this.picking && moved < STILL_PIXELS) this.#pick(event.offsetX, event.offsetY);
    });
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key in ARROWS) this.bench.turnBy(...ARROWS[event.key]);
      else if (event.key === "Enter" && this.picking) this.#pick(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #pick(x, y) {
    const point = this.bench.pick(x, y);
    if (point) this.onPick(point);
  }

  /** Fetch and show the mesh of an address, textured where it has a texture. Resolves with its geometry, null when another came. */
  async open(url) {
    this.url = url;
    const geometry = await api.bytes(url).then((buffer) => decode(buffer, { textured: true }));
    if (this.gone || this.url !== url) {
      release(geometry);
      return null;
    }
    if (this.geometry) release(this.geometry);
    this.geometry = geometry;
    const isTextured = geometry.userData.maps.some(Boolean);
    const names = Object.keys(SHADINGS).filter((name) => isTextured || name !== "textured");
    fill(this.select, ...names.map((name) => h("option", { value: name }, t(SHADINGS[name]))));
    this.bench.show(geometry, { shading: "matcap" });
    this.setShading(isTextured ? "textured" : "matcap");
    this.#drawPins();
    return geometry;
  }

  setShading(name) {
    this.select.value = name;
    this.bench.setShading(name);
  }

  /** While on, a click on the mesh (or Enter, at the cross in the middle) picks a point. */
  setPicking(on) {
    this.picking = on;
    this.pinButton.setAttribute("aria-pressed", String(on));
    this.canvas.classList.toggle("picking", on);
    this.cross.hidden = !on;
  }

  /** [{number, point, title}]: drawn as numbered buttons at their points. */
  setPins(pins) {
    this.pins = pins;
    this.#drawPins();
  }

  #drawPins() {
    fill(this.markers, ...(this.geometry ? this.pins : []).map(({ number, title }) => h("button", { type: "button", class: "marker", title, "aria-label": title, onclick: () => this.onPin(number) }, String(number))));
    this.bench.draw();
  }

  #placePins() {
    const places = this.bench.project(this.pins.map(({ point }) => point));
    [...this.markers.children].forEach((marker, at) => {
      marker.style.left = `${places[at].x}px`;
      marker.style.top = `${places[at].y}px`;
      marker.classList.toggle("behind", !places[at].isNear);
    });
  }

  /** Show points of a finding as dots, seen from the side of the first. */
  showPoints(points) {
    this.bench.setDots(points);
    if (points.length) this.bench.lookAt(points[0]);
  }

  lookAt(point) {
    this.bench.lookAt(point);
  }

  /** What the keys "turn", "home", "shading" and "pin" do; true when it was one of them. */
  act(action) {
    const names = [...this.select.options].map(({ value }) => value);
    const actions = {
      turn: () => this.bench.setTurning(!this.bench.turning),
      home: () => this.bench.home(),
      shading: () => names.length && this.setShading(names[(names.indexOf(this.select.value) + 1) % names.length]),
      pin: () => this.onPick && this.setPicking(!this.picking),
    };
    if (!(action in actions)) return false;
    actions[action]();
    return true;
  }

  dispose() {
    this.gone = true;
    this.watch.disconnect();
    this.bench.dispose();
    if (this.geometry) release(this.geometry);
  }
}
