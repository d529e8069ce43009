// A photo to look into, with one posed mesh over it: shaded, as an outline, or its difference from the mask.

import { fixed } from "../format.js";
import { MODES, Overlay } from "../scene/overlay.js";
import { t } from "../words.js";
import { photoAndMask, stencil } from "./photo.js";
import { PhotoView } from "./photo_view.js";
import { loadTruth } from "./truth.js";
import { fill, h, keyButton } from "./ui.js";

/** {photo, shape, mask, points} as of loadTruth; without camera, the photo and its outline alone. */
export async function truthOf(object) {
  if (object.camera) return loadTruth(object);
  const [photo, mask] = await photoAndMask(object);
  return { photo, shape: mask && stencil(mask), mask: null, points: null };
}

export class PhotoStage {
  /** Build into `holder`; keys: the table whose keys the buttons name. */
  constructor(holder, keys) {
    const photo = h("canvas", { role: "img", "aria-label": t("The photo with the object outlined") });
    const mesh = h("canvas", { class: "mesh", "aria-hidden": "true" });
    this.slider = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.7, "aria-label": t("Mesh opacity") });
    this.slider.addEventListener("input", () => this.overlay.setOpacity(this.slider.value));
    this.iou = h("span", {});
    const act = (action, label) => keyButton(keys, action, label, () => this.act(action));
    this.tools = h("span", { class: "row", hidden: true }, h("label", { class: "row" }, t("Mesh opacity"), this.slider), act("look", t("Shaded, outline, difference")), this.iou);
    fill(holder, h("div", { class: "picture" }, photo, mesh), h("div", { class: "row small" }, act("closer", t("Closer")), act("farther", t("Farther")), act("whole", t("Whole photo")), this.tools));
    this.overlay = new Overlay(mesh);
    this.overlay.setOpacity(this.slider.value);
    this.view = new PhotoView(photo, (place) => this.posed && this.overlay.frameAt(place));
  }

  /** object: as the API gives it; truth: of truthOf. */
  setPhoto(object, truth) {
    Object.assign(this, { object, truth });
    if (object.camera) {
      this.overlay.setCamera(object);
      this.overlay.setTruth(truth);
    }
    this.view.show(truth.photo, truth.shape);
  }

  /** A mesh over the photo; null takes it away. */
  show(geometry, pose) {
    this.posed = Boolean(geometry && pose && this.object.camera);
    this.tools.hidden = !this.posed;
    this.overlay.canvas.hidden = !this.posed;
    if (!this.posed) return;
    this.overlay.show(geometry, pose);
    this.iou.textContent = t("Mask IoU {iou}", { iou: fixed(this.overlay.measure().iou) });
    this.view.draw();
  }

  /** What the keys "look", "closer", "farther" and "whole" do; true when it was one of them. */
  act(action) {
    if (action === "look" && this.posed) this.overlay.setMode(MODES[(MODES.indexOf(this.overlay.mode) + 1) % MODES.length]);
    else if (["closer", "farther", "whole"].includes(action)) this.view[action]();
    else return false;
    return true;
  }

  dispose() {
    this.view.dispose();
    this.overlay.dispose();
  }
}
