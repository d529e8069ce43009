// Reports as people read them: of an artist's mesh, and of an import.

import { CHECKS, FIGURES, FIXES, LEVELS, advice, figure, sentence } from "../findings.js";
import { words } from "../format.js";
import { t } from "../words.js";
import { ask, facts, h } from "./ui.js";

/**
 * The mesh report: a row per check, worst first. onPoints(points): show them on the mesh; onRepair(codes): have the ticked
 * repairs made, null for who may not.
 */
export function report({ ok, findings, figures }, { onPoints = null, onRepair = null } = {}) {
  const order = Object.keys(LEVELS);
  const sorted = [...findings].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  const open = sorted.filter(({ level }) => level !== "ok");
  const fine = sorted.filter(({ level }) => level === "ok");
  const row = (finding) => findingRow(finding, { onPoints, onRepair });
  const list = h("ul", { class: "findings" }, ...open.map(row));
  return h(
    "section",
    { class: "report", "aria-label": t("Mesh report") },
    h("p", { class: ok ? "good" : "bad" }, ok ? t("The mesh can be reviewed.") : t("The mesh cannot be reviewed yet: what must be mended is on top.")),
    list,
    onRepair ? repairs(list, onRepair) : null,
    fine.length ? h("details", {}, h("summary", {}, t("Checks that found nothing wrong: {count}", { count: fine.length })), h("ul", { class: "findings" }, ...fine.map(row))) : null,
    h("details", {}, h("summary", {}, t("Figures")), facts(figuresOf(figures))),
  );
}

/** [label, value] of the figures that a report has, in their order. */
export function figuresOf(figures = {}) {
  return Object.entries(FIGURES).filter(([name]) => name in figures).map(([name, label]) => [t(label), figure(figures[name]), name]);
}

function findingRow(finding, { onPoints, onRepair }) {
  const { check, level, fix, picture_url: picture, points = [] } = finding;
  const { icon, word } = LEVELS[level];
  const name = t(CHECKS[check] ?? check);
  const hint = advice(finding);
  return h(
    "li",
    { class: `finding ${level}`, "data-check": check },
    h("span", { class: "level" }, h("span", { "aria-hidden": "true" }, icon), " ", t(word)),
    h(
      "div",
      {},
      h("strong", {}, name),
      h("p", {}, sentence(finding)),
      hint ? h("p", { class: "small" }, hint) : null,
      fix && onRepair && level !== "ok" ? h("label", { class: "check" }, h("input", { type: "checkbox", name: "fix", value: fix }), t(FIXES[fix])) : null,
      points.length && onPoints ? h("button", { type: "button", class: "plain points", onclick: () => onPoints(points) }, t("Show on the mesh")) : null,
    ),
    picture ? pictureButton(picture, name, sentence(finding)) : null,
  );
}

function pictureButton(url, name, text) {
  const large = () => ask(name, text, [[null, t("Close"), "primary"]], [h("img", { class: "large", src: url, alt: text })]);
  return h("button", { type: "button", class: "thumb", "aria-label": t("Enlarge the picture of {name}", { name }), onclick: large }, h("img", { src: url, alt: "", loading: "lazy" }));
}

function repairs(list, onRepair) {
  const boxes = () => [...list.querySelectorAll("[name=fix]")];
  if (!boxes().length) return null;
  const codes = () => [...new Set(boxes().filter((box) => box.checked).map((box) => box.value))];
  const button = h("button", { type: "button", class: "primary repair", disabled: true }, t("Fix these for me"));
  button.addEventListener("click", () => onRepair(codes(), button));
  list.addEventListener("change", () => (button.disabled = !codes().length));
  return h("p", { class: "row" }, button, h("span", { class: "small" }, t("The result is a new version, checked again; this one stays.")));
}

/** What an import took and what it refused, with the reasons. */
export function importReport(job) {
  if (job.state !== "done") return h("p", { class: "bad" }, job.error || job.message || t("The import is {state}.", { state: words(job.state) }));
  const { taken = [], refused = [], warnings = [] } = job.result ?? {};
  const [file, kept] = [t("file"), t("taken")];
  const line = (entry) => (typeof entry === "string" ? entry : `${entry.name ?? file}: ${entry.reason ?? entry.message ?? kept}`);
  return h(
    "div",
    {},
    h("p", { class: refused.length ? "" : "good" }, t("{taken} taken, {refused} refused.", { taken: taken.length ?? taken, refused: refused.length })),
    refused.length ? h("ul", { class: "bad" }, ...refused.map((entry) => h("li", {}, line(entry)))) : null,
    warnings.length ? h("ul", { class: "small" }, ...warnings.map((entry) => h("li", {}, line(entry)))) : null,
  );
}
