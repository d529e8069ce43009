// One mesh on a turntable, as the review of ratings shows the survivor.

import * as api from "../api.js";
import { Duel } from "../scene/duel.js";
import { decode } from "../scene/meshes.js";
import { t } from "../words.js";
import { h, isStill } from "./ui.js";

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
