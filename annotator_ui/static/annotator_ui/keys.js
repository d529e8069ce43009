// Which key does what: the tables that bind the keys are the ones the pages list. A person's own keys take the place
// of a table's, so that what is bound, listed and written on buttons is always the same.

import { t, w } from "./words.js";

/** On every work page, beside the page's own keys. */
export const DESK = [
  { action: "problem", keys: ["?"], label: w("Report a problem with this object") },
  { action: "instructions", keys: ["i"], label: w("Instructions") },
  { action: "postpone", keys: ["l"], label: w("Later: put this object aside") },
];

const VIEW = [
  { action: "reset", keys: ["r"], label: w("View as in the photo") },
  { action: "turn", keys: ["t"], label: w("Turntable on or off") },
  { action: "nearer", keys: ["pageup"], label: w("Meshes nearer") },
  { action: "farther", keys: ["pagedown"], label: w("Meshes farther") },
  { action: "plain", keys: ["m"], label: w("Plain shading") },
  { action: "normals", keys: ["b"], label: w("Shading by normals") },
  { action: "edges", keys: ["g"], label: w("Shading with edges") },
  { action: "wireframe", keys: ["w"], label: w("Wireframe") },
  { action: "outline", keys: ["v"], label: w("Outline of the photo's mask on or off") },
];

const PHOTO = [
  { action: "crop", keys: ["f"], label: w("Photo: crop or full") },
  { action: "zoomin", keys: ["k"], label: w("Photo: closer") },
  { action: "zoomout", keys: ["j"], label: w("Photo: farther") },
  { action: "pan", keys: ["shift+arrowleft", "shift+arrowright", "shift+arrowup", "shift+arrowdown"], label: w("Photo: move"), shown: "Shift ← → ↑ ↓" },
];

const LEAVE = [
  { action: "skip", keys: ["x"], label: w("Skip with a reason") },
  { action: "escalate", keys: ["e"], label: w("Hand to the artists") },
];

export const COMPARE = [
  { action: "left", keys: ["1", "a"], label: w("Left is better") },
  { action: "right", keys: ["2", "d"], label: w("Right is better") },
  { action: "equal", keys: ["3", "s"], label: w("Equal") },
  { action: "neither", keys: ["4", "n"], label: w("Neither is usable") },
  { action: "undo", keys: ["z", "ctrl+z"], label: w("Take back the last answer") },
  { action: "chip", keys: ["5", "6", "7", "8", "9", "0"], label: w("Why: a reason on or off"), shown: "5…9 0" },
  { action: "orbit", keys: ["arrowleft", "arrowright", "arrowup", "arrowdown"], label: w("Turn the meshes"), shown: "← → ↑ ↓" },
  ...VIEW,
  ...PHOTO,
  ...LEAVE,
];

export const GRID = [
  { action: "pick", keys: ["1", "2", "3", "4", "5", "6", "7", "8"], label: w("Pick a candidate, or not"), shown: "1…8" },
  { action: "confirm", keys: ["enter"], label: w("Go on with those picked") },
  { action: "none", keys: ["n"], label: w("None is usable") },
  { action: "turn", keys: ["t"], label: w("Turntable on or off") },
  { action: "orbit", keys: ["arrowleft", "arrowright"], label: w("Turn the candidates"), shown: "← →" },
  ...PHOTO,
  ...LEAVE,
];

const RATED = [
  { action: "less", keys: ["-", "arrowdown"], label: w("Lower") },
  { action: "more", keys: ["+", "=", "arrowup"], label: w("Higher") },
  { action: "store", keys: ["enter"], label: w("Store the rating") },
  { action: "undo", keys: ["z", "ctrl+z"], label: w("Back to the last comparison") },
  { action: "orbit", keys: ["arrowleft", "arrowright"], label: w("Turn the mesh"), shown: "← →" },
  ...VIEW,
  ...PHOTO,
];

export const RATE = [
  { action: "digit", keys: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], label: w("Rating 0.0 to 0.9"), shown: "0…9" },
  { action: "full", keys: ["p"], label: w("Rating 1.0 (perfect)") },
  ...RATED,
];

/** Where the batch's scale has levels. */
export const SCALE = [
  { action: "level", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], label: w("Choose a level"), shown: "1…9" },
  ...RATED,
];

export const ALIGN = [
  { action: "translate", keys: ["t"], label: w("Gizmo: move") },
  { action: "rotate", keys: ["r"], label: w("Gizmo: rotate") },
  { action: "scale", keys: ["s"], label: w("Gizmo: scale") },
  { action: "x-", keys: ["arrowleft"], label: w("Move left"), fine: true },
  { action: "x+", keys: ["arrowright"], label: w("Move right"), fine: true },
  { action: "y-", keys: ["arrowup"], label: w("Move up"), fine: true },
  { action: "y+", keys: ["arrowdown"], label: w("Move down"), fine: true },
  { action: "z+", keys: ["pageup"], label: w("Move away"), fine: true },
  { action: "z-", keys: ["pagedown"], label: w("Move nearer"), fine: true },
  { action: "yaw-", keys: ["a"], label: w("Turn left"), fine: true },
  { action: "yaw+", keys: ["d"], label: w("Turn right"), fine: true },
  { action: "pitch-", keys: ["w"], label: w("Tip away"), fine: true },
  { action: "pitch+", keys: ["x"], label: w("Tip nearer"), fine: true },
  { action: "roll-", keys: ["q"], label: w("Roll left"), fine: true },
  { action: "roll+", keys: ["e"], label: w("Roll right"), fine: true },
  { action: "grow", keys: ["+", "="], label: w("Larger"), fine: true },
  { action: "shrink", keys: ["-"], label: w("Smaller"), fine: true },
  { action: "axis", keys: ["u"], label: w("Scale all axes, or one") },
  { action: "quarter-y", keys: ["j"], label: w("90° about the mesh's upright axis") },
  { action: "quarter-x", keys: ["k"], label: w("90° about the mesh's side axis") },
  { action: "quarter-z", keys: ["n"], label: w("90° about the mesh's front axis") },
  { action: "pivot", keys: ["c"], label: w("Pick the pivot in the 3D view") },
  { action: "middle", keys: ["shift+c"], label: w("Pivot back to the middle") },
  { action: "upright", keys: ["shift+b"], label: w("Stand upright on the ground") },
  { action: "ground", keys: ["b"], label: w("Set down on the ground") },
  { action: "fit", keys: ["f"], label: w("Fit: refine the pose automatically") },
  { action: "undo", keys: ["z", "ctrl+z"], label: w("Undo") },
  { action: "redo", keys: ["y", "ctrl+shift+z", "ctrl+y"], label: w("Redo") },
  { action: "reset", keys: ["0"], label: w("Back to the first pose") },
  { action: "look", keys: ["o"], label: w("Photo: shaded, outline, difference") },
  { action: "fainter", keys: ["["], label: w("Mesh fainter over the photo") },
  { action: "stronger", keys: ["]"], label: w("Mesh stronger over the photo") },
  { action: "closer", keys: ["."], label: w("Photo closer") },
  { action: "farther", keys: [","], label: w("Photo farther") },
  { action: "whole", keys: ["/"], label: w("Whole photo") },
  { action: "photo", keys: ["1", "v"], label: w("View as in the photo") },
  { action: "front", keys: ["2"], label: w("View from the front") },
  { action: "back", keys: ["3"], label: w("View from the back") },
  { action: "left", keys: ["4"], label: w("View from the left") },
  { action: "right", keys: ["5"], label: w("View from the right") },
  { action: "top", keys: ["6"], label: w("View from above") },
  { action: "bottom", keys: ["7"], label: w("View from below") },
  { action: "mesh", keys: ["m"], label: w("Mesh on or off") },
  { action: "points", keys: ["p"], label: w("Points on or off") },
  { action: "target", keys: ["h"], label: w("Object outline and its points on or off") },
  { action: "gizmo", keys: ["g"], label: w("Gizmo on or off") },
  { action: "cancel", keys: ["escape"], label: w("Leave the tool") },
  { action: "submit", keys: ["ctrl+enter"], label: w("Store the alignment") },
];

// The photo with a posed mesh over it.
const POSED = [
  { action: "look", keys: ["o"], label: w("Photo: shaded, outline, difference") },
  { action: "closer", keys: ["."], label: w("Photo closer") },
  { action: "farther", keys: [","], label: w("Photo farther") },
  { action: "whole", keys: ["/"], label: w("Whole photo") },
];

export const REVIEW = [
  { action: "next", keys: ["j", "arrowdown"], label: w("Next answer") },
  { action: "previous", keys: ["k", "arrowup"], label: w("Previous answer") },
  { action: "accept", keys: ["a"], label: w("Accept") },
  { action: "fix", keys: ["f"], label: w("Fix") },
  { action: "return", keys: ["r"], label: w("Send back with a note") },
  { action: "swap", keys: ["b"], label: w("Before or after") },
  { action: "wipe", keys: ["w"], label: w("Wipe between before and after") },
  { action: "beside", keys: ["s"], label: w("Before and after side by side") },
  ...POSED,
  { action: "less", keys: ["-", "arrowleft"], label: w("Rating lower by 0.05") },
  { action: "more", keys: ["+", "=", "arrowright"], label: w("Rating higher by 0.05") },
  { action: "turn", keys: ["t"], label: w("Turntable on or off") },
];

const STAGE = [
  ...POSED,
  { action: "turn", keys: ["t"], label: w("Turntable on or off") },
  { action: "shading", keys: ["s"], label: w("Next shading of the mesh") },
  { action: "home", keys: ["h"], label: w("First view of the mesh") },
];

export const ART = [
  { action: "next", keys: ["j", "arrowdown"], label: w("Next case in the list") },
  { action: "previous", keys: ["k", "arrowup"], label: w("Previous case in the list") },
  { action: "starter", keys: ["d"], label: w("Download the starter package") },
  { action: "choose", keys: ["u"], label: w("Choose a mesh file") },
  { action: "pause", keys: ["p"], label: w("Pause the upload, or go on") },
  ...STAGE,
];

export const ART_REVIEW = [
  { action: "next", keys: ["j", "arrowdown"], label: w("Next mesh") },
  { action: "previous", keys: ["k", "arrowup"], label: w("Previous mesh") },
  { action: "accept", keys: ["a"], label: w("Approve") },
  { action: "return", keys: ["r"], label: w("Send back with a note and pins") },
  { action: "pin", keys: ["p"], label: w("Pin remarks: click a point of the mesh") },
  ...STAGE,
];

export const SELECT = [
  { action: "segment", keys: ["s"], label: w("Click or box: the object is outlined for you") },
  { action: "brush", keys: ["b"], label: w("Brush") },
  { action: "eraser", keys: ["e"], label: w("Eraser") },
  { action: "polygon", keys: ["p"], label: w("Polygon: click corners to add") },
  { action: "cut", keys: ["c"], label: w("Polygon: click corners to cut away") },
  { action: "flag", keys: ["t"], label: w("Flag an object that is not in the taxonomy") },
  { action: "not", keys: ["n"], label: w("Clicks mean the object, or not the object (as a right click or Alt)") },
  { action: "left", keys: ["arrowleft"], label: w("Cursor left"), fine: true },
  { action: "right", keys: ["arrowright"], label: w("Cursor right"), fine: true },
  { action: "up", keys: ["arrowup"], label: w("Cursor up"), fine: true },
  { action: "down", keys: ["arrowdown"], label: w("Cursor down"), fine: true },
  { action: "tap", keys: ["a"], label: w("Click at the cursor") },
  { action: "tapnot", keys: ["d"], label: w("Click at the cursor: not the object") },
  { action: "cancel", keys: ["escape"], label: w("Drop the open polygon") },
  { action: "undo", keys: ["z", "ctrl+z"], label: w("Undo") },
  { action: "redo", keys: ["y", "ctrl+shift+z", "ctrl+y"], label: w("Redo") },
  { action: "holes", keys: ["h"], label: w("Fill holes") },
  { action: "specks", keys: ["k"], label: w("Drop specks") },
  { action: "bigger", keys: ["]"], label: w("Larger brush") },
  { action: "smaller", keys: ["["], label: w("Smaller brush") },
  { action: "closer", keys: ["+", "="], label: w("Zoom in") },
  { action: "farther", keys: ["-"], label: w("Zoom out") },
  { action: "fit", keys: ["0", "f"], label: w("The whole photo") },
  { action: "pan", keys: ["space"], label: w("Hold and drag: move the photo") },
  { action: "outline", keys: ["o"], label: w("Filled or outline only") },
  { action: "category", keys: ["g"], label: w("Name the category") },
  { action: "reject", keys: ["r"], label: w("Reject the imported mask") },
  { action: "skip", keys: ["x"], label: w("Skip with a reason") },
  { action: "submit", keys: ["enter", "ctrl+enter"], label: w("Close the polygon; confirm or store the mask") },
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
  { name: "grid", label: w("Compare: the grid"), table: GRID },
  { name: "rate", label: w("Rate"), table: RATE },
  { name: "scale", label: w("Rate on a scale"), table: SCALE },
  { name: "align", label: w("Align"), table: ALIGN },
  { name: "review", label: w("Review"), table: REVIEW },
  { name: "art", label: w("Art"), table: ART },
  { name: "art_review", label: w("Review: artists' meshes"), table: ART_REVIEW },
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
