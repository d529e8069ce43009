// The tools of an alignment: the mesh over the photo and among the scene's points, one pose, its history and its measures.
// What becomes of the pose is the page's: align stores it as an answer, review as a fix.

import { inMask } from "../cloud.js";
import { dropped, ground, upright } from "../ground.js";
import { History, change } from "../history.js";
import { nudged } from "../nudges.js";
import { copied, fromAngles, isPose, isSame, reshaped } from "../poses.js";
import { MODES as LOOKS, Overlay } from "../scene/overlay.js";
import { Space, VIEWS } from "../scene/space.js";
import { t } from "../words.js";
import { AlignPanel } from "./align_panel.js";
import { Fitter } from "./align_fit.js";
import { PhotoView } from "./photo_view.js";
import { loadTruth } from "./truth.js";
import { toast } from "./ui.js";

const EXACT_AFTER_MS = 150;
const SHOWN = ["mesh", "points", "target", "gizmo"];
const AXES = [null, 0, 1, 2];
export const GIZMOS = ["translate", "rotate", "scale"];

export class AlignStage {
  /**
   * root: an element that the stage fills; shelf: of meshes; changed(): the person has changed something;
   * fit(body): sends {key, pose} and resolves with {job}; submit(): the person wants to store; table: its keys.
   */
  constructor(root, { shelf, fit, table, submit, changed = () => {}, antialias = true }) {
    Object.assign(this, { shelf, table, changed, antialias });
    this.actions = { ...this.#actions(), submit };
    this.panel = new AlignPanel(root, this);
    this.history = new History(() => this.panel.drawEdits(this.history));
    this.space = new Space(this.panel.space, {
      antialias,
      onDrag: (pose) => this.#apply(pose, "space"),
      onDrop: (before, after) => isSame(before, after) || this.#run("gizmo", before, after),
    });
    this.overlay = new Overlay(this.panel.overlay, { antialias });
    this.view = new PhotoView(this.panel.photo, (place) => this.overlay.frameAt(place));
    this.fitter = new Fitter(this, this.panel.fit, fit);
    this.shown = Object.fromEntries(SHOWN.map((name) => [name, true]));
    this.opacity = 0.7;
    this.held = 0;
    this.#bindPicking();
    this.watch = new ResizeObserver(() => {
      this.space.draw();
      this.overlay.draw();
    });
    this.watch.observe(root);
    this.act("translate");
    this.#dress();
  }

  /** Show a mesh ({model_url, pose: the first one}) of an object; `draft` {R, t, s, pivot} is where the person left off. */
  async open({ object, candidate, draft = null }) {
    this.opened = null;
    const [truth, geometry] = await Promise.all([loadTruth(object), this.shelf.get(candidate.model_url)]);
    const { min, max } = geometry.boundingBox;
    this.middle = ["x", "y", "z"].map((axis) => (min[axis] + max[axis]) / 2);
    this.first = copied(candidate.pose);
    this.opened = { object, truth, geometry };
    this.pose = draft && isPose(draft) ? copied(draft) : copied(this.first);
    this.axis = null;
    this.space.clearPoints();
    if (truth.points) this.space.setPoints(truth.points);
    if (truth.points && truth.mask) this.space.setTarget(object, truth.mask);
    this.space.show(geometry, this.pose);
    this.overlay.setCamera(object);
    this.overlay.setTruth(truth);
    this.overlay.show(geometry, this.first);
    this.firstMeasure = this.overlay.measure();
    this.#pivot(draft?.pivot?.length === 3 && draft.pivot.every(Number.isFinite) ? draft.pivot : this.middle);
    this.view.show(truth.photo, truth.shape);
    this.history.clear();
    this.fitter.clear();
    this.#dress();
    this.#apply(this.pose, "open");
  }

  /** The pose and what belongs to it, as drafts keep it. */
  state() {
    return { ...copied(this.pose), pivot: this.pivot };
  }

  /** The exact measures of the pose: {iou, depth}, each null where there is nothing to compare. */
  measure() {
    clearTimeout(this.later);
    this.measures = this.overlay.measure();
    this.panel.drawMeasures(this.measures, this.firstMeasure);
    return this.measures;
  }

  /** One undo step to another pose; steps with one `merge` key become one. */
  edit(label, after, merge) {
    if (!isPose(after)) {
      toast(t("These numbers make no pose: scales must be above 0."), "bad");
      return this.panel.drawNumbers(this.pose, this.axis);
    }
    return this.#run(label, copied(this.pose), after, merge);
  }

  #run(label, before, after, merge) {
    this.history.run(change(label, (pose) => this.#apply(pose), before, after, merge));
  }

  /** Make `next` the pose on screen. from "space": the 3D view shows it already; "open": nothing was changed yet. */
  #apply(next, from = "") {
    this.pose = copied(next);
    this.overlay.place(this.pose);
    if (from !== "space") this.space.place(this.pose);
    this.panel.drawNumbers(this.pose, this.axis);
    this.#measureSoon();
    if (from !== "open") this.changed();
  }

  /** Quickly with the next frame, and exactly once the hand rests. */
  #measureSoon() {
    this.soon ||= requestAnimationFrame(() => {
      this.soon = 0;
      if (!this.opened) return;
      this.measures = this.overlay.measure({ proxy: true });
      this.panel.drawMeasures(this.measures, this.firstMeasure);
    });
    clearTimeout(this.later);
    this.later = setTimeout(() => this.opened && this.measure(), EXACT_AFTER_MS);
  }

  #pivot(at) {
    this.pivot = [...at];
    this.space.setPivot(this.pivot);
  }

  #movePivot(to) {
    this.pick(false);
    const set = (at) => {
      this.#pivot(at);
      this.changed();
    };
    this.history.run(change("pivot", set, this.pivot, [...to]));
  }

  /** Start or stop waiting for a click in the 3D view that says where the pivot goes. */
  pick(on) {
    this.picking = on;
    this.panel.drawPicking(on);
  }

  #bindPicking() {
    const { space: canvas } = this.panel;
    let from = null;
    canvas.addEventListener("pointerdown", (event) => (from = [event.clientX, event.clientY]));
    canvas.addEventListener("pointerup", (event) => {
      if (!this.picking || !from || Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 4) return;
      const box = canvas.getBoundingClientRect();
      const found = this.space.pick(event.clientX - box.left, event.clientY - box.top);
      if (found) this.#movePivot(found);
      else toast(t("Nothing is there: click on the mesh or on a point."), "bad");
    });
  }

  /** The plane under the object, looked for once; null (and said) when there is none. */
  #plane() {
    const { object, truth } = this.opened;
    if (this.opened.plane === undefined)
      this.opened.plane = truth.points && truth.mask ? ground(truth.points, inMask(truth.points, object, truth.mask)) : null;
    if (!this.opened.plane) toast(t("No ground stands out in the points around the object."), "bad");
    return this.opened.plane;
  }

  #actions() {
    const actions = {
      undo: () => this.history.undo(),
      redo: () => this.history.redo(),
      reset: () => this.edit("reset", copied(this.first)),
      fit: () => void this.fitter.press(),
      pivot: () => this.pick(!this.picking),
      middle: () => this.#movePivot(this.middle),
      cancel: () => this.pick(false),
      axis: () => this.setAxis(AXES[(AXES.indexOf(this.axis) + 1) % AXES.length]),
      look: () => this.setLook(LOOKS[(LOOKS.indexOf(this.overlay.mode) + 1) % LOOKS.length]),
      fainter: () => this.setOpacity(this.opacity - 0.1),
      stronger: () => this.setOpacity(this.opacity + 0.1),
      closer: () => this.view.closer(),
      farther: () => this.view.farther(),
      whole: () => this.view.whole(),
      ground: () => {
        const plane = this.#plane();
        if (plane) this.edit("ground", dropped(this.pose, this.opened.geometry.attributes.position.array, plane));
      },
      upright: () => {
        const plane = this.#plane();
        if (plane) this.edit("upright", reshaped(this.pose, { R: upright(this.pose, plane) }, this.pivot));
      },
    };
    for (const name of VIEWS) actions[name] = () => this.space.view(name);
    for (const name of SHOWN) actions[name] = () => this.#toggle(name);
    for (const name of GIZMOS) actions[name] = () => this.#gizmo(name);
    return actions;
  }

  /** Do what a key or a button of the table means; true leaves a key to the browser. */
  act(action, hit = {}) {
    if (!this.opened && !GIZMOS.includes(action)) return undefined;
    // Arrow keys on a slider are the slider's.
    if (document.activeElement?.type === "range" && hit.key?.includes("arrow")) return true;
    if (action in this.actions) return void this.actions[action]();
    const options = { fine: hit.fine, size: this.space.diagonal(), pivot: this.pivot, axis: this.axis };
    const after = nudged(this.pose, action, options);
    // While a key is held its steps are one edit.
    if (after) this.edit(action, after, hit.key && `${action} ${hit.fine} ${this.held}`);
    return undefined;
  }

  /** A key went up: the next step is an edit of its own. */
  release() {
    this.held += 1;
  }

  #gizmo(mode) {
    this.space.setMode(mode);
    this.panel.press(GIZMOS, mode);
  }

  #toggle(name) {
    this.shown[name] = !this.shown[name];
    this.#dress();
  }

  /** Everything that is on, off or dimmed, onto the views. */
  #dress() {
    for (const name of SHOWN) {
      this.space.toggle(name, this.shown[name]);
      this.panel.press([name], this.shown[name] ? name : null);
    }
    this.panel.overlay.hidden = !this.shown.mesh;
    this.view.outline(this.shown.target);
    this.setOpacity(this.opacity);
    this.setLook(this.overlay.mode);
    this.setAxis(this.axis ?? null);
  }

  setOpacity(value) {
    this.opacity = Math.round(Math.max(0, Math.min(1, value)) * 100) / 100;
    this.overlay.setOpacity(this.opacity);
    this.panel.drawOpacity(this.opacity);
  }

  setLook(mode) {
    this.overlay.setMode(mode);
    this.panel.drawLook(mode);
  }

  setAxis(axis) {
    this.axis = axis;
    this.panel.drawAxis(axis);
  }

  /** Numbers were typed into a row of the grid: "t", "r" (degrees) or "s". */
  typed(name, numbers) {
    if (!this.opened) return;
    if (numbers.some(Number.isNaN)) this.panel.drawNumbers(this.pose, this.axis);
    else if (name === "t") this.edit("number", { ...copied(this.pose), t: numbers });
    else if (name === "r") this.edit("number", reshaped(this.pose, { R: fromAngles(numbers) }, this.pivot));
    else this.edit("number", reshaped(this.pose, { s: numbers }, this.pivot));
  }

  dispose() {
    this.opened = null;
    cancelAnimationFrame(this.soon);
    clearTimeout(this.later);
    this.watch.disconnect();
    for (const part of [this.view, this.space, this.overlay]) part.dispose();
  }
}
