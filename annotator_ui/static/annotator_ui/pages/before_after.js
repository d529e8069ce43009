// Two poses of one mesh over one photo: one at a time, with a wipe between them, or side by side; zoomed together.

import { MODES as LOOKS, Overlay } from "../scene/overlay.js";
import { t, w } from "../words.js";
import { PhotoView } from "./photo_view.js";
import { fill, h } from "./ui.js";

export const MODES = { before: w("Before"), after: w("After"), wipe: w("Wipe"), beside: w("Side by side") };

export class BeforeAfter {
  /** Build into `holder`; before, after: what the two are called. */
  constructor(holder, { before = t("Before"), after = t("After") } = {}) {
    this.layers = { before: this.#layer("before", before), after: this.#layer("after", after) };
    this.divider = h("div", { class: "divider", hidden: true });
    this.slider = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": t("Place of the wipe"), hidden: true });
    this.slider.addEventListener("input", () => this.#wipe());
    this.figure = h("div", { class: "compared" }, this.layers.before.figure, this.layers.after.figure, this.divider);
    fill(holder, this.figure, this.slider);
    this.setMode("after");
    this.setLook("shaded");
  }

  #layer(name, label) {
    const [photo, mesh] = [h("canvas", { role: "img", "aria-label": label }), h("canvas", { class: "mesh", "aria-hidden": "true" })];
    const layer = { figure: h("div", { class: `layer ${name}`, translate: "no" }, photo, mesh, h("span", { class: "tag" }, label)), overlay: new Overlay(mesh) };
    layer.overlay.setOpacity(0.75);
    layer.view = new PhotoView(photo, (place) => {
      layer.overlay.frameAt(place);
      this.#follow(layer.view);
    });
    return layer;
  }

  /** The other photo zooms and pans along. */
  #follow(leader) {
    for (const { view } of Object.values(this.layers ?? {})) {
      if (view === leader || (view.zoom === leader.zoom && view.shift.every((value, axis) => value === leader.shift[axis]))) continue;
      Object.assign(view, { zoom: leader.zoom, shift: [...leader.shift] });
      view.draw();
    }
  }

  /** Show both poses; returns their exact measures {before, after}, each {iou, depth}. */
  show({ object, truth, geometry, before, after }) {
    const measures = {};
    for (const [name, pose] of Object.entries({ before, after })) {
      const { overlay, view } = this.layers[name];
      overlay.setCamera(object);
      overlay.setTruth(truth);
      overlay.show(geometry, pose);
      view.show(truth.photo, truth.shape);
      measures[name] = overlay.measure();
    }
    return measures;
  }

  /** "before", "after", "wipe" or "beside". */
  setMode(mode) {
    this.mode = mode;
    this.figure.dataset.mode = mode;
    this.slider.hidden = this.divider.hidden = mode !== "wipe";
    this.#wipe();
    for (const { view } of Object.values(this.layers)) view.draw();
  }

  #wipe() {
    const share = `${this.slider.value}%`;
    this.layers.after.figure.style.clipPath = this.mode === "wipe" ? `inset(0 0 0 ${share})` : "";
    this.divider.style.left = share;
  }

  nextLook() {
    this.setLook(LOOKS[(LOOKS.indexOf(this.look) + 1) % LOOKS.length]);
  }

  setLook(look) {
    this.look = look;
    for (const { overlay } of Object.values(this.layers)) overlay.setMode(look);
  }

  closer() {
    this.layers[this.mode === "before" ? "before" : "after"].view.closer();
  }

  farther() {
    this.layers[this.mode === "before" ? "before" : "after"].view.farther();
  }

  whole() {
    for (const { view } of Object.values(this.layers)) view.whole();
  }

  dispose() {
    for (const { view, overlay } of Object.values(this.layers)) {
      view.dispose();
      overlay.dispose();
    }
  }
}
