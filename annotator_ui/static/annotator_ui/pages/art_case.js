// One art case: the photo and its points, why nobody's candidate could do, the closest ones, the upload, the versions.

import * as api from "../api.js";
import { number, percent, words } from "../format.js";
import { ART } from "../keys.js";
import { Bench } from "../scene/bench.js";
import { MeshShelf } from "../scene/meshes.js";
import { t, w } from "../words.js";
import { PhotoStage, truthOf } from "./photo_stage.js";
import { Versions } from "./versions.js";
import { busy, complain, fill, h, keyButton, toast } from "./ui.js";

const SPACE = { turn: w("Turntable"), home: w("View as in the photo") };

export class ArtCase {
  /** holder: to fill; case_: of assignments/<id>/case/; assignment: of assignments/<id>/; panel: the element that sends. */
  constructor(holder, { case_, assignment, panel, reload }) {
    Object.assign(this, { case_, assignment, reload, shelf: new MeshShelf(api.bytes) });
    const { object, art } = assignment;
    const [photo, space, versions] = [h("div", {}), h("div", {}), h("section", { class: "versions", "aria-label": t("Versions") })];
    this.canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": t("The points of the photo in 3D; drag to turn them") });
    fill(
      space,
      h("div", { class: "picture bench" }, this.canvas),
      h("div", { class: "row small" }, this.#toggle("points", t("Points")), this.#toggle("mesh", t("Candidate")), ...["turn", "home"].map((action) => keyButton(ART, action, t(SPACE[action]), () => this.#move(action)))),
    );
    this.thumbs = h("div", { class: "thumbs", role: "group", "aria-label": t("Closest candidates, for reference") });
    this.banner = h("div", {});
    fill(
      holder,
      h("h2", { translate: "no" }, object.category || t("object"), " ", String(object.id)),
      this.banner,
      h("div", { class: "sides" }, photo, space),
      h("div", { class: "sides" }, this.#reasons(), h("section", { "aria-label": t("Closest candidates, for reference") }, h("h3", {}, t("Closest candidates, for reference")), this.thumbs)),
      h("div", { class: "sides" }, h("section", { "aria-label": t("Starter package") }, h("h3", {}, t("Start from")), this.#starter(object)), panel),
      h("h3", {}, t("Your versions")),
      versions,
    );
    this.bench = new Bench(this.canvas);
    this.watch = new ResizeObserver(() => this.bench.draw());
    this.watch.observe(this.canvas);
    this.stage = new PhotoStage(photo, ART);
    this.versions = new Versions(versions, {
      keys: ART,
      pins: { onPick: null, of: (found) => found.pins, onAnswer: (point, text) => this.#answer(point, text), onRemove: null },
      onRepair: case_.assignment.state === "leased" ? (found, codes, button) => this.#repair(found, codes, button) : null,
      onChecked: reload,
    });
    this.candidates = art.candidates ?? [];
  }

  async open() {
    const { object } = this.assignment;
    this.#drawThumbs();
    const truth = await truthOf(object);
    if (this.gone) return;
    this.stage.setPhoto(object, truth);
    if (truth.points) this.bench.setPoints(truth.points, object, truth.mask);
    if (this.candidates.length) this.#pick(0).catch(complain);
    await this.update(this.case_);
  }

  /** What changes while the case is open: what came back, and the versions. */
  async update(case_) {
    this.case_ = case_;
    fill(this.banner, this.#returned());
    await this.versions.show(case_.versions);
  }

  /** The reviewer's words on the version that came back, first of all. */
  #returned() {
    const { returned } = this.case_;
    if (!returned) return null;
    const pins = returned.pins.length ? h("p", { class: "small" }, t("Remarks pinned to version {version}, see below: {count}.", { count: returned.pins.length, version: returned.version })) : null;
    return h("div", { class: "note returned" }, h("p", {}, h("strong", {}, t("Version {version} came back: {note}", { version: returned.version, note: returned.note || "–" }))), pins);
  }

  /** Why it came to an artist, in the numbers of what people answered. */
  #reasons() {
    const { why, note } = this.case_;
    const lines = [
      why.reason ? t("What makes it hard: {reason}", { reason: words(why.reason) }) : null,
      why.note || note ? t("Note: {note}", { note: why.note || note }) : null,
      why.best_r === null ? t("Nobody rated a candidate.") : t("Best rating: {best} of {count}; the bar is {bar}.", { count: why.ratings, best: number(why.best_r), bar: number(why.alpha) }),
      why.comparisons ? t("Comparisons: {count}; neither side was usable in {share} of them.", { count: why.comparisons, share: percent(why.neither / why.comparisons) }) : null,
    ];
    const chips = Object.entries(why.chips).map(([chip, times]) => h("li", {}, t("{reason} ({count})", { reason: words(chip), count: times })));
    return h("section", { "aria-label": t("Why it came here") }, h("h3", {}, t("Why it came here")), ...lines.filter(Boolean).map((line) => h("p", {}, line)), chips.length ? h("ul", {}, ...chips) : null);
  }

  #starter(object) {
    const name = `object-${object.id}.zip`;
    this.download = h("a", { class: "button", id: "starter", href: `/api/v1/objects/${object.id}/starter.zip`, download: name }, t("Download the starter package"), h("kbd", {}, ART.find(({ action }) => action === "starter").keys[0].toUpperCase()));
    return h("div", {}, h("p", {}, this.download), h("p", { class: "small" }, t("Photo, mask, camera, pointmap (NPZ and PLY) and the best candidate as GLB with its pose; its README explains the frames.")));
  }

  #toggle(what, label) {
    const button = h("button", { type: "button", "aria-pressed": "true", "data-toggle": what }, label);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      this.bench.toggle(what, on);
    });
    return button;
  }

  #move(action) {
    if (action === "turn") this.bench.setTurning(!this.bench.turning);
    else this.bench.home();
  }

  #drawThumbs() {
    const thumb = (each, at) =>
      h("button", { type: "button", class: "thumb", "aria-pressed": "false", "aria-label": t("Show candidate {number} on the photo and among the points", { number: at + 1 }), onclick: () => this.#pick(at).catch(complain) }, h("img", { src: each.thumbnail_url, alt: "", loading: "lazy" }));
    fill(this.thumbs, ...(this.candidates.length ? this.candidates.map(thumb) : [h("p", { class: "muted" }, t("There are no candidates."))]));
  }

  /** Show a candidate over the photo and among the points. */
  async #pick(at) {
    this.picked = at;
    [...this.thumbs.children].forEach((thumb, place) => thumb.setAttribute("aria-pressed", String(place === at)));
    const { model_url, pose } = this.candidates[at];
    const geometry = await this.shelf.get(model_url);
    if (this.gone || this.picked !== at) return;
    this.stage.show(geometry, pose);
    this.bench.show(geometry, { pose });
    this.shelf.keep([model_url]);
  }

  async #answer(point, text) {
    const { id } = this.versions.found;
    await api.post(`submissions/${id}/pins/`, { key: crypto.randomUUID(), text, ...(point ? { point } : {}) });
    await this.versions.refresh();
  }

  #repair(found, fixes, button) {
    const key = crypto.randomUUID();
    return busy(button, async () => {
      await api.post(`submissions/${found.id}/repair/`, { key, fixes });
      toast(t("The repaired mesh becomes a new version."));
      await this.reload();
    });
  }

  act(action) {
    if (action === "starter") this.download.click();
    if (action in SPACE) this.#move(action);
    if (!this.stage.act(action)) this.versions.mesh.act(action);
  }

  dispose() {
    this.gone = true;
    this.watch.disconnect();
    this.stage.dispose();
    this.bench.dispose();
    this.versions.dispose();
    this.shelf.keep([]);
  }
}
