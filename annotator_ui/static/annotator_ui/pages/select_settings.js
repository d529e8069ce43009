// A batch's settings of Stage 1, on the forms that make and change a batch.

import { t } from "../words.js";

/** Fields for ui.fields(); a batch's own values, where there is one. */
export const selecting = ({ checks_masks, taxonomy = [] }) => [
  { name: "checks_masks", label: t("Imported masks are checked first"), type: "checkbox", value: checks_masks },
  { name: "taxonomy", label: t("Categories, one a line"), type: "textarea", value: taxonomy.join("\n"), hint: t("Empty: any category. Else annotators choose from these.") },
];

/** Values of the form as the server takes them: the categories as a list, each once. */
export const selected = (values) => ({ ...values, taxonomy: [...new Set(values.taxonomy.split("\n").map((line) => line.trim()).filter(Boolean))] });
