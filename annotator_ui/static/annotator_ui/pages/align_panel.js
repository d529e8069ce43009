// What the align tools look like: the two views, their switches, and the column of modes, numbers, turns and measures.

import { fixed, percent } from "../format.js";
import { toAngles } from "../poses.js";
import { t, w } from "../words.js";
import { $, fill, h, keyButton } from "./ui.js";

const NAMES = ["x", "y", "z"];
const LABELS = {
  translate: w("Move"), rotate: w("Rotate"), scale: w("Scale"),
  shaded: w("Shaded"), outline: w("Outline"), difference: w("Difference"),
  mesh: w("Mesh"), points: w("Points"), target: w("Object"), gizmo: w("Gizmo"),
  photo: w("Photo"), front: w("Front"), back: w("Back"), left: w("Left"), right: w("Right"), top: w("Top"), bottom: w("Bottom"),
  closer: w("Closer"), farther: w("Farther"), whole: w("Whole"),
  pivot: w("Pick"), middle: w("Middle"), ground: w("Set down"), upright: w("Upright"),
  undo: w("Undo"), redo: w("Redo"), reset: w("First pose"), fit: w("Fit"),
  "quarter-x": w("Side"), "quarter-y": w("Up"), "quarter-z": w("Front"),
};
// Row, its name, what it reads of a pose, and how a number of it is written.
const ROWS = [
  ["t", w("Position"), (pose) => pose.t, (value) => Number(value.toPrecision(4)).toFixed(5)],
  ["r", w("Rotation °"), (pose) => toAngles(pose.R), (value) => value.toFixed(2)],
  ["s", w("Scale"), (pose) => pose.s, (value) => value.toPrecision(5)],
];
const LOOKS = ["shaded", "outline", "difference"];

export class AlignPanel {
  /** Build the tools of a stage (AlignStage) into root. */
  constructor(root, stage) {
    this.stage = stage;
    this.photo = h("canvas", { id: "photo", role: "img", "aria-label": t("The photo with the object outlined") });
    this.overlay = h("canvas", { id: "gl-photo", "aria-label": t("The mesh as the camera sees it") });
    this.space = h("canvas", { id: "gl", tabindex: 0, "aria-label": t("Points of the scene and the mesh; drag to turn the view") });
    this.fit = h("div", { id: "fit", role: "status", "aria-live": "polite" });
    this.root = root;
    fill(root, this.#photoPane(), this.#spacePane(), this.#controls());
  }

  #button(action, properties = {}) {
    return keyButton(this.stage.table, action, t(LABELS[action]), () => this.stage.act(action), properties);
  }

  #group(label, actions, properties = {}) {
    return h("div", { class: "row", role: "group", "aria-label": label }, ...actions.map((action) => this.#button(action, properties)));
  }

  #photoPane() {
    const looks = LOOKS.map((mode) =>
      h("button", { type: "button", "data-look": mode, onclick: () => this.stage.setLook(mode) }, t(LABELS[mode])),
    );
    const opacity = h("input", { id: "opacity", type: "range", min: 0, max: 1, step: 0.05 });
    opacity.addEventListener("input", () => this.stage.setOpacity(Number(opacity.value)));
    return h(
      "section",
      { class: "pane", "aria-label": t("Photo with the mesh") },
      h("div", { class: "overlay" }, this.photo, this.overlay, h("p", { class: "legend", hidden: true }, h("span", { class: "only-mesh" }, t("mesh only")), h("span", { class: "only-mask" }, t("mask only")), h("span", { class: "both" }, t("both")))),
      h("div", { class: "row small bar" }, h("div", { class: "row", role: "group", "aria-label": t("How the mesh is drawn") }, ...looks), h("label", {}, t("Opacity"), opacity), this.#group(t("Photo"), ["closer", "farther", "whole"], { class: "tight" })),
    );
  }

  #spacePane() {
    const size = h("input", { id: "point-size", type: "range", min: 1, max: 8, value: 2 });
    size.addEventListener("input", () => this.stage.space.setPointSize(Number(size.value)));
    return h(
      "section",
      { class: "pane", "aria-label": t("3D view") },
      h("div", { class: "space" }, this.space, h("p", { class: "hint", id: "picking", hidden: true }, t("Click on the mesh or on a point: the pivot goes there."))),
      h("div", { class: "row small bar" }, this.#group(t("View from"), ["photo", "front", "back", "left", "right", "top", "bottom"], { class: "tight" })),
      h("div", { class: "row small bar" }, this.#group(t("What is shown"), ["mesh", "points", "target", "gizmo"], { class: "tight" }), h("label", {}, t("Point size"), size)),
    );
  }

  #controls() {
    return h(
      "section",
      { class: "controls", "aria-label": t("Pose") },
      h("dl", { class: "measures", "aria-live": "off" }, this.#measure("iou", t("Mask IoU")), this.#measure("depth", t("Depth residual"))),
      h("div", { class: "row" }, this.#button("fit", { class: "primary" }), ...["undo", "redo", "reset"].map((action) => this.#button(action))),
      this.fit,
      this.#group(t("Gizmo"), ["translate", "rotate", "scale"]),
      this.#numbers(),
      this.#line(t("90° about"), ["quarter-y", "quarter-x", "quarter-z"]),
      this.#line(t("Ground"), ["ground", "upright"]),
      this.#line(t("Pivot"), ["pivot", "middle"]),
    );
  }

  #line(label, actions) {
    return h("div", { class: "row line" }, h("span", { class: "muted" }, label), this.#group(label, actions));
  }

  #measure(id, label) {
    return h("div", {}, h("dt", {}, label), h("dd", {}, h("output", { id }, "–"), " ", h("span", { id: `${id}-change`, class: "small" })));
  }

  #numbers() {
    const cells = ROWS.flatMap(([name, label]) => [
      h("span", {}, t(label)),
      ...NAMES.map((axis) =>
        h("input", { name: name + axis, type: "number", step: "any", "aria-label": t("{label} {axis}", { label: t(label), axis }), onchange: () => this.#typed(name, axis) }),
      ),
    ]);
    const axes = [null, 0, 1, 2].map((axis) =>
      h("button", { type: "button", "data-axis": String(axis), onclick: () => this.stage.setAxis(axis) }, axis === null ? t("all") : NAMES[axis]),
    );
    this.form = h(
      "form",
      { class: "numbers", id: "numbers", "aria-label": t("Pose in numbers") },
      h("span", {}),
      ...NAMES.map((axis) => h("span", { class: "muted" }, axis)),
      ...cells,
      h("div", { class: "row wide", role: "group", "aria-label": t("Axes that are scaled") }, h("span", { class: "muted" }, t("Scale axes")), ...axes),
    );
    this.form.addEventListener("submit", (event) => event.preventDefault());
    return this.form;
  }

  /** A typed scale goes for all axes alike, unless one axis is chosen. */
  #typed(name, axis) {
    const numbers = NAMES.map((each) => this.form.elements[name + each].valueAsNumber);
    const at = NAMES.indexOf(axis);
    const { pose } = this.stage;
    if (name === "s" && this.stage.axis === null && numbers[at] > 0)
      return this.stage.typed("s", pose.s.map((value) => (value * numbers[at]) / pose.s[at]));
    // What was not typed keeps all its digits.
    const exact = ROWS.find(([each]) => each === name)[2](pose);
    return this.stage.typed(name, exact.map((value, each) => (each === at ? numbers[at] : value)));
  }

  drawNumbers(pose, axis) {
    for (const [name, , read, write] of ROWS)
      read(pose).forEach((value, at) => {
        const input = this.form.elements[name + NAMES[at]];
        input.value = Number(write(value));
        if (name === "s") input.disabled = axis !== null && axis !== at;
      });
  }

  drawAxis(axis) {
    for (const button of this.form.querySelectorAll("[data-axis]"))
      button.setAttribute("aria-pressed", String(button.dataset.axis === String(axis)));
    if (this.stage.pose) this.drawNumbers(this.stage.pose, axis);
  }

  /** Measures {iou, depth} and what has become of them since the first pose. */
  drawMeasures(now, first) {
    $("#iou", this.root).textContent = fixed(now.iou);
    $("#depth", this.root).textContent = percent(now.depth, 2);
    this.#change("iou", now.iou, first.iou, 1, (value) => fixed(value));
    this.#change("depth", now.depth, first.depth, -1, (value) => percent(value, 2));
  }

  #change(id, now, first, better, write) {
    const line = $(`#${id}-change`, this.root);
    const by = now === null || first === null ? 0 : now - first;
    const shown = Math.abs(by) < 5e-4 ? "" : `${by > 0 ? "+" : "−"}${write(Math.abs(by))}`;
    line.textContent = shown;
    line.className = `small ${shown && (by * better > 0 ? "good" : "bad")}`;
  }

  drawEdits({ canUndo, canRedo }) {
    $("[data-action=undo]", this.root).disabled = !canUndo;
    $("[data-action=redo]", this.root).disabled = !canRedo;
  }

  /** Of a group of buttons the one of `action` is down; none for null. */
  press(group, action) {
    for (const name of group) $(`[data-action=${name}]`, this.root).setAttribute("aria-pressed", String(name === action));
  }

  drawLook(mode) {
    for (const button of this.root.querySelectorAll("[data-look]")) button.setAttribute("aria-pressed", String(button.dataset.look === mode));
    $(".legend", this.root).hidden = mode !== "difference";
  }

  drawOpacity(value) {
    $("#opacity", this.root).value = value;
  }

  drawPicking(on) {
    $("#picking", this.root).hidden = !on;
    this.space.classList.toggle("picking", on);
    this.press(["pivot"], on ? "pivot" : null);
  }
}
