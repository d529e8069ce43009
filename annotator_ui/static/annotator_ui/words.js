// The reader's language. Every string that a person sees goes through t(); English is the key. Django's catalogue
// (/words/LANGUAGE.js, loaded before the modules) holds the other languages.

/** The text in the reader's language, with {name} replaced by values.name. */
export function t(text, values = {}) {
  const translated = globalThis.gettext ? globalThis.gettext(text) : text;
  return translated.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Marks a constant's text for translation; t() is called where it is shown. */
export const w = (text) => text;
