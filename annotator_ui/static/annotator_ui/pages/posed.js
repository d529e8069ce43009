// A picture of a photo with a posed mesh over it, for review and art: one canvas pair, an opacity slider.

import * as api from "../api.js";
import { fixed } from "../format.js";
import { Duel } from "../scene/duel.js";
import { decode } from "../scene/meshes.js";
import { Overlay } from "../scene/overlay.js";
import { t } from "../words.js";
import { drawPhoto, loadImage, maskBytes, stencil } from "./photo.js";
import { h, isStill } from "./ui.js";

/** Build into `holder` (emptied first). object: as the API gives it; model_url and pose may be null: then the photo alone. */
export async function showPosed(holder, { object, model_url, pose }) {
  holder.posed?.dispose();
  holder.posed = null;
  const photoCanvas = h("canvas", { role: "img", "aria-label": t("The photo with the object outlined") });
  const meshCanvas = h("canvas", { class: "mesh", "aria-hidden": "true" });
  const slider = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.7, "aria-label": t("Mesh opacity") });
  const figure = h("div", { class: "picture" }, photoCanvas, meshCanvas);
  const caption = h("p", { class: "row small" });
  holder.replaceChildren(figure, caption);
  const [photo, mask] = await Promise.all([loadImage(object.photo_url), object.mask_url ? loadImage(object.mask_url) : null]);
  const shape = mask && stencil(mask);
  const draw = () => drawPhoto(photoCanvas, photo, shape);
  draw();
  let overlay = null;
  if (model_url && pose && object.camera) {
    const geometry = await api.bytes(model_url).then(decode);
    overlay = new Overlay(meshCanvas);
    overlay.setCamera(object);
    overlay.setTruth({ mask: mask && { data: maskBytes(mask, object.width, object.height), width: object.width, height: object.height } });
    overlay.show(geometry, pose);
    overlay.setOpacity(slider.value);
    slider.addEventListener("input", () => overlay.setOpacity(slider.value));
    caption.append(h("label", {}, t("Mesh opacity"), " ", slider), t("Mask IoU {iou}", { iou: fixed(overlay.measure().iou) }));
  }
  const watch = new ResizeObserver(() => {
    draw();
    overlay?.draw();
  });
  watch.observe(figure);
  holder.posed = {
    dispose() {
      watch.disconnect();
      overlay?.mesh.geometry.dispose();
      overlay?.dispose();
    },
  };
}

/** One mesh on a turntable in `holder` (emptied first), upright as delivered. */
export async function showTurning(holder, model_url) {
  holder.posed?.dispose();
  holder.posed = null;
  const canvas = h("canvas", { tabindex: 0, "aria-label": t("The mesh; drag to turn it") });
  holder.replaceChildren(h("div", { class: "picture" }, canvas));
  const geometry = await api.bytes(model_url).then(decode);
  // Another mesh was asked for meanwhile, or the holder is gone.
  if (!canvas.isConnected) return geometry.dispose();
  const view = new Duel(canvas, () => [{ x: 0, y: 0, width: canvas.clientWidth, height: canvas.clientHeight }], { still: isStill() });
  // Upright and facing the viewer: y of the GLB is up, so y of the OpenCV camera points the other way.
  view.show({ geometry, pose: { R: [1, 0, 0, 0, -1, 0, 0, 0, -1], t: [0, 0, 5 * geometry.boundingSphere.radius], s: [1, 1, 1] } }, null);
  const watch = new ResizeObserver(() => view.draw());
  watch.observe(canvas);
  holder.posed = {
    toggle: () => view.setTurning(!view.turning),
    dispose() {
      watch.disconnect();
      geometry.dispose();
      view.dispose();
    },
  };
}
