// Reports as people read them: of an artist's mesh, and of an import.

import { number } from "../format.js";
import { facts, h } from "./ui.js";

/** The mesh report: what was found and how to mend it. */
export function report({ ok, findings, figures }) {
  return h(
    "div",
    {},
    h("p", { class: ok ? "good" : "bad" }, ok ? "The mesh can be used." : "The mesh cannot be used yet."),
    h("ul", {}, ...findings.map(({ level, check, message, advice }) => h("li", {}, h("strong", { class: level === "error" ? "bad" : "" }, `${check}: `), message, advice ? ` ${advice}` : ""))),
    facts(Object.entries(figures ?? {}).map(([name, value]) => [name.replaceAll("_", " "), show(value)])),
  );
}

function show(value) {
  if (Array.isArray(value)) return value.map((each) => number(each)).join(" × ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" && value ? JSON.stringify(value) : number(value);
}

/** What an import took and what it refused, with the reasons. */
export function importReport(job) {
  if (job.state !== "done") return h("p", { class: "bad" }, job.error || job.message || `The import is ${job.state}.`);
  const { taken = [], refused = [], warnings = [] } = job.result ?? {};
  const line = (entry) => (typeof entry === "string" ? entry : `${entry.name ?? "file"}: ${entry.reason ?? entry.message ?? "taken"}`);
  return h(
    "div",
    {},
    h("p", { class: refused.length ? "" : "good" }, `${taken.length ?? taken} taken, ${refused.length} refused.`),
    refused.length ? h("ul", { class: "bad" }, ...refused.map((entry) => h("li", {}, line(entry)))) : null,
    warnings.length ? h("ul", { class: "small" }, ...warnings.map((entry) => h("li", {}, line(entry)))) : null,
  );
}
