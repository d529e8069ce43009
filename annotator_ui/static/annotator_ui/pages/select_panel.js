// The buttons of the Select page: tools, view, edits and answers.

import { SELECT } from "../keys.js";
import { t } from "../words.js";
import { $, fill, h, keyButton } from "./ui.js";

export const TOOLS = { segment: t("Click / box"), brush: t("Brush"), eraser: t("Eraser"), polygon: t("Polygon"), cut: t("Cut polygon"), flag: t("Flag") };
const VIEWS = { farther: t("Zoom out"), closer: t("Zoom in"), fit: t("Whole photo"), outline: t("Outline only") };
const BRUSHES = ["brush", "eraser"];
const HELP = {
  segment: t("Click the object, or drag a box around it. Further clicks correct the outline; a right click means: not the object."),
  brush: t("Paint what belongs to the object."),
  eraser: t("Wipe what does not belong to the object."),
  polygon: t("Click corners; Enter or the first corner closes and adds it."),
  cut: t("Click corners; Enter or the first corner closes and cuts it away."),
  flag: t("Click an object elsewhere in the photo that no category fits, and name it."),
};

export class SelectPanel {
  /** act(action): does what a button or its key means. */
  constructor(act) {
    this.act = act;
  }

  #button(action, label, properties = {}) {
    return keyButton(SELECT, action, label, () => this.act(action), properties);
  }

  /** The buttons that are always there. back(): after a click by pointer the keys mean the photo again. */
  make(back) {
    const button = (action, label) =>
      keyButton(SELECT, action, label, (event) => {
        this.act(action);
        if (event.detail) back();
      });
    const all = (labels) => Object.entries(labels).map(([action, label]) => button(action, label));
    fill($("#palette"), ...all(TOOLS), button("not", t("Not the object")));
    fill($("#palette-view"), ...all(VIEWS));
  }

  press(action, isOn) {
    $(`[data-action=${action}]`).setAttribute("aria-pressed", String(isOn));
  }

  /** Which tool is in hand, and whether its clicks mean what is not the object. */
  show(tool, negative) {
    for (const each of Object.keys(TOOLS)) this.press(each, each === tool);
    this.press("not", negative);
    $("#help").textContent = HELP[tool];
    $("#size").closest("label").hidden = !BRUSHES.includes(tool);
    $("#palette [data-action=not]").hidden = tool !== "segment";
  }

  /** The buttons that depend on what is drawn; the focus stays where it was. cannot: {undo, redo, edit, submit}. */
  draw({ isImported, canReject, cannot }) {
    const held = document.activeElement?.dataset.action;
    fill(
      $("#edits"),
      this.#button("undo", t("Undo"), { disabled: cannot.undo }),
      this.#button("redo", t("Redo"), { disabled: cannot.redo }),
      this.#button("holes", t("Fill holes"), { disabled: cannot.edit }),
      this.#button("specks", t("Drop specks"), { disabled: cannot.edit }),
      h("button", { type: "button", "data-action": "clear", disabled: cannot.edit, onclick: () => this.act("clear") }, t("Clear")),
    );
    fill(
      $("#answers"),
      this.#button("submit", isImported ? t("Confirm the mask") : t("Store the mask"), { class: "primary", id: "submit", disabled: cannot.submit }),
      canReject ? this.#button("reject", t("Reject…")) : null,
      this.#button("skip", t("Skip…")),
    );
    if (held && !document.activeElement?.dataset.action) $(`#edits [data-action=${held}]:enabled, #answers [data-action=${held}]:enabled`)?.focus();
  }
}
