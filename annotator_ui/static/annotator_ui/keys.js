// Which key does what: the tables that bind the keys are the ones the pages list. A person's own keys take the place
// of a table's, so that what is bound, listed and written on buttons is always the same.

import { t, w } from "./words.js";

/** On every work page, beside the page's own keys. */
export const DESK = [
  { action: "problem", keys: ["?"], label: w("Report a problem with this object") },
  { action: "instructions", keys: ["i"], label: w("Instructions") },
  { action: "postpone", keys: ["l"], label: w("Later: put this object aside") },
];

export const COMPARE = [
  { action: "left", keys: ["1", "a"], label: "Left is better" },
  { action: "right", keys: ["2", "d"], label: "Right is better" },
  { action: "equal", keys: ["3", "s"], label: "Equal" },
  { action: "neither", keys: ["4", "n"], label: "Neither is usable" },
  { action: "undo", keys: ["z", "ctrl+z"], label: "Take back the last answer" },
  { action: "reset", keys: ["r"], label: "View as in the photo" },
  { action: "turn", keys: ["t"], label: "Turntable on or off" },
  { action: "crop", keys: ["f"], label: "Photo: crop or full" },
  { action: "skip", keys: ["x"], label: "Skip with a reason" },
  { action: "escalate", keys: ["e"], label: "Hand to the artists" },
];

export const RATE = [
  { action: "digit", keys: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], label: "Rating 0.0 to 0.9", shown: "0…9" },
  { action: "full", keys: ["p"], label: "Rating 1.0 (perfect)" },
  { action: "less", keys: ["-", "arrowleft"], label: "Lower by 0.05" },
  { action: "more", keys: ["+", "=", "arrowright"], label: "Higher by 0.05" },
  { action: "store", keys: ["enter"], label: "Store the rating" },
  { action: "undo", keys: ["z", "ctrl+z"], label: "Back to the last comparison" },
  { action: "reset", keys: ["r"], label: "View as in the photo" },
  { action: "turn", keys: ["t"], label: "Turntable on or off" },
  { action: "crop", keys: ["f"], label: "Photo: crop or full" },
];

export const ALIGN = [
  { action: "translate", keys: ["t"], label: "Gizmo: move" },
  { action: "rotate", keys: ["r"], label: "Gizmo: rotate" },
  { action: "scale", keys: ["s"], label: "Gizmo: scale" },
  { action: "x-", keys: ["arrowleft"], label: "Move left", fine: true },
  { action: "x+", keys: ["arrowright"], label: "Move right", fine: true },
  { action: "y-", keys: ["arrowup"], label: "Move up", fine: true },
  { action: "y+", keys: ["arrowdown"], label: "Move down", fine: true },
  { action: "z+", keys: ["pageup"], label: "Move away", fine: true },
  { action: "z-", keys: ["pagedown"], label: "Move nearer", fine: true },
  { action: "yaw-", keys: ["a"], label: "Turn left", fine: true },
  { action: "yaw+", keys: ["d"], label: "Turn right", fine: true },
  { action: "pitch-", keys: ["w"], label: "Tip away", fine: true },
  { action: "pitch+", keys: ["x"], label: "Tip nearer", fine: true },
  { action: "roll-", keys: ["q"], label: "Roll left", fine: true },
  { action: "roll+", keys: ["e"], label: "Roll right", fine: true },
  { action: "grow", keys: ["+", "="], label: "Larger", fine: true },
  { action: "shrink", keys: ["-"], label: "Smaller", fine: true },
  { action: "undo", keys: ["z", "ctrl+z"], label: "Undo" },
  { action: "redo", keys: ["y", "ctrl+shift+z", "ctrl+y"], label: "Redo" },
  { action: "reset", keys: ["0"], label: "Back to the first pose" },
  { action: "view", keys: ["v"], label: "View as in the photo" },
  { action: "mesh", keys: ["m"], label: "Mesh on or off" },
  { action: "points", keys: ["p"], label: "Points on or off" },
  { action: "gizmo", keys: ["g"], label: "Gizmo on or off" },
  { action: "submit", keys: ["ctrl+enter"], label: "Store the alignment" },
];

export const SELECT = [
  { action: "polygon", keys: ["p"], label: "Polygon: click corners" },
  { action: "brush", keys: ["b"], label: "Brush" },
  { action: "eraser", keys: ["e"], label: "Eraser" },
  { action: "close", keys: ["enter"], label: "Close the polygon" },
  { action: "cancel", keys: ["escape"], label: "Drop the open polygon" },
  { action: "undo", keys: ["z", "ctrl+z"], label: "Undo" },
  { action: "redo", keys: ["y", "ctrl+shift+z", "ctrl+y"], label: "Redo" },
  { action: "bigger", keys: ["]"], label: "Larger brush" },
  { action: "smaller", keys: ["["], label: "Smaller brush" },
  { action: "submit", keys: ["ctrl+enter"], label: "Store the mask" },
];

export const PRACTICE = [
  { action: "left", keys: ["1", "a"], label: w("Left is better") },
  { action: "right", keys: ["2", "d"], label: w("Right is better") },
  { action: "go", keys: ["enter"], label: w("Go on") },
  { action: "reset", keys: ["r"], label: w("View as in the photo") },
  { action: "turn", keys: ["t"], label: w("Turntable on or off") },
];

/** Every table by the name under which a person's own keys are kept, and what it is called. */
export const TABLES = [
  { name: "desk", label: w("Every work page"), table: DESK },
  { name: "select", label: w("Select"), table: SELECT },
  { name: "compare", label: w("Compare"), table: COMPARE },
  { name: "rate", label: w("Rate"), table: RATE },
  { name: "align", label: w("Align"), table: ALIGN },
  { name: "practice", label: w("Practice"), table: PRACTICE },
];

/**
 * Put a person's keys {table: {action: [chord, ...]}} in the place of the tables' own; what is not named keeps its keys.
 * A range of keys (`shown`) stays as it is: its action reads the key.
 */
export function personalise(own = {}) {
  for (const { name, table } of TABLES)
    table.forEach((entry, at) => {
      const standard = entry.standard ?? entry.keys;
      table[at] = { ...entry, standard, keys: (!entry.shown && own[name]?.[entry.action]) || standard };
    });
}

/** Entries of other actions that have this key, in the table itself or in the one that every work page shares. */
export function conflicts(name, action, key) {
  const shared = name === "desk" ? TABLES : TABLES.filter((each) => [name, "desk"].includes(each.name));
  return shared.flatMap((each) =>
    each.table.filter((entry) => entry.keys.includes(key) && !(each.name === name && entry.action === action)).map((entry) => ({ table: each.label, label: entry.label })),
  );
}

/** "ctrl+shift+z" for a keyboard event; a printable key keeps its own meaning, so Shift is named for letters only. */
export function chord(event) {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const shift = event.shiftKey && (key.length > 1 || /^[a-z]$/.test(key));
  return `${event.ctrlKey || event.metaKey ? "ctrl+" : ""}${event.altKey ? "alt+" : ""}${shift ? "shift+" : ""}${key}`;
}

/** {action, key, fine} of the table for an event, or null. Shift makes a `fine` step small. */
export function find(table, event) {
  const pressed = chord(event);
  for (const entry of table) {
    if (entry.keys.includes(pressed)) return { action: entry.action, key: pressed, fine: false };
    if (entry.fine && (pressed.startsWith("shift+") || event.shiftKey)) {
      const bare = pressed.replace("shift+", "");
      const unshifted = bare === "_" ? "-" : bare;
      if (entry.keys.includes(unshifted)) return { action: entry.action, key: pressed, fine: true };
    }
  }
  return null;
}

const NAMES = { arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", pageup: "PgUp", pagedown: "PgDn" };

/** The keys of an entry as people write them. */
export function written(entry) {
  if (entry.shown) return [entry.shown];
  return entry.keys.map(writtenChord);
}

function writtenChord(keys) {
  return keys
    .split("+")
    .map((part) => NAMES[part] || (part === "" ? "+" : part.charAt(0).toUpperCase() + part.slice(1)))
    .join(" ")
    .replace("+ +", "+");
}

/** What an entry does, as the key lists say it. */
export function meaning(entry) {
  return entry.fine ? t("{label} (Shift: fine)", { label: t(entry.label) }) : t(entry.label);
}
