// What the mesh report says, in the reader's language: a sentence for every check and level, and how to mend it.

import { number, percent } from "./format.js";
import { t, w } from "./words.js";

/** What each check is called. */
export const CHECKS = {
  file: w("File"),
  flat: w("Depth"),
  scale: w("Scale"),
  triangle_count: w("Triangles"),
  watertight: w("Watertight"),
  manifold: w("Manifold"),
  floaters: w("Loose parts"),
  inverted_normals: w("Normals"),
  self_intersections: w("Self-intersections"),
  degenerate_faces: w("Degenerate faces"),
  uvs: w("Texture coordinates"),
  texture_size: w("Texture size"),
  symmetry: w("Symmetry"),
  up_axis: w("Up axis"),
  mask_agreement: w("Agreement with the photo"),
};

/** Icon and word of each level, worst first. */
export const LEVELS = {
  error: { icon: "✖", word: w("Must be mended") },
  warning: { icon: "▲", word: w("Look at it") },
  info: { icon: "ℹ", word: w("For your information") },
  ok: { icon: "✔", word: w("Good") },
};

const ANY = () => true;
// By check and level; where one level has several sentences, the first whose condition holds.
export const SENTENCES = {
  file: {
    ok: w("The file was read as {format}."),
    warning: w("The file was read, with a remark: {note}"),
    error: [
      [({ reason }) => reason === "fbx", w("This is an FBX file, which is not read here.")],
      [({ reason }) => reason === "empty", w("The file is empty.")],
      [({ reason }) => reason === "too_large", w("The file is larger than what is read here.")],
      [({ reason }) => ["not_a_mesh", "wrong_kind", "not_an_archive"].includes(reason), w("This is no mesh that is read here, it is {kind}.")],
      [({ reason }) => ["no_geometry", "empty_mesh", "zero_area"].includes(reason), w("The file holds no surface.")],
      [({ reason }) => ["missing_file", "outside_file"].includes(reason), w("A file that the mesh names is missing: {message}")],
      [({ reason }) => ["corrupt_archive", "hostile_archive", "archive_bomb", "too_many_entries"].includes(reason), w("The ZIP cannot be used: {message}")],
      [ANY, w("The file cannot be read: {message}")],
    ],
  },
  flat: { ok: w("The mesh has depth on all three axes."), error: w("The mesh is flat: one side has no depth.") },
  scale: {
    ok: w("The longest side measures {longest} m."),
    warning: [
      [({ unit }) => unit === "mm", w("The longest side measures {longest}: this looks like millimetres, not metres.")],
      [ANY, w("The longest side measures {longest}: the unit may be wrong.")],
    ],
  },
  triangle_count: { ok: w("{triangles} triangles."), warning: w("{triangles} triangles are more than {most}.") },
  watertight: { ok: w("The surface is closed."), warning: w("The surface has {holes} holes or open rims ({open_edges} open edges), {small_holes} of them small.") },
  manifold: {
    ok: w("Every edge has at most two faces."),
    warning: w("{edges} edges have more than two faces, {vertices} vertices join separate surfaces, {duplicates} faces are there twice."),
    info: w("{vertices} vertices join separate surfaces."),
  },
  floaters: {
    ok: w("No tiny loose parts; {parts} parts in all."),
    info: w("The mesh has {parts} loose parts."),
    warning: w("{floaters} tiny loose parts ({triangles} triangles) float about."),
  },
  inverted_normals: {
    ok: w("All faces look outwards."),
    warning: [
      [({ inside_out }) => inside_out, w("The mesh is inside out.")],
      [ANY, w("{faces} faces look inwards; {seams} edges join faces that look opposite ways.")],
    ],
  },
  self_intersections: {
    ok: w("None of {sampled} triangles crosses another."),
    warning: w("{found} of {sampled} sampled triangles cross others, about {estimate} in all."),
    info: w("{found} of {sampled} sampled triangles cross other parts of the mesh, about {estimate} in all."),
  },
  degenerate_faces: { ok: w("No triangle is degenerate."), warning: w("{triangles} triangles are as good as lines; {dropped} without any area were left out.") },
  uvs: { ok: w("The mesh has texture coordinates."), info: w("The mesh has no texture coordinates."), warning: w("{collapsed} triangles have no area in the texture.") },
  texture_size: {
    ok: w("The texture has {width} × {height} pixels."),
    info: [
      [({ width }) => !width, w("The mesh has no texture.")],
      [ANY, w("The texture has only {width} × {height} pixels.")],
    ],
    warning: w("The texture has {width} × {height} pixels; {most} a side are enough."),
  },
  symmetry: {
    info: [
      [({ symmetric }) => symmetric, w("The mesh is symmetric; its best mirror image is {residual} of its size away.")],
      [ANY, w("The mesh is not symmetric; its best mirror image is {residual} of its size away.")],
    ],
  },
  up_axis: { ok: w("The mesh stands upright with y up."), warning: w("The object seems to lie on its side: z looks like its up axis.") },
  mask_agreement: {
    ok: w("{iou} of the outline agrees with the mask."),
    info: w("{iou} of the outline agrees with the mask; {good} is good."),
    warning: [
      [({ reason }) => reason, w("The mesh could not be placed in the photo.")],
      [ANY, w("Only {iou} of the outline agrees with the mask.")],
    ],
  },
};

/** What to do in one's own tool about a finding of a check, by level where it differs. */
export const ADVICE = {
  file: { error: w("Export the mesh again as GLB and send that."), warning: w("Look whether everything arrived; export GLB if not.") },
  flat: { error: w("Model the object in three dimensions.") },
  scale: { warning: w("Model in metres; the pose scales the mesh in any case.") },
  triangle_count: { warning: w("Decimate the mesh.") },
  watertight: { warning: w("Close the holes, or leave them open on purpose.") },
  manifold: { warning: w("Delete inner and doubled faces; separate what only touches."), info: w("Separate what only touches, if you can.") },
  floaters: { warning: w("Delete them, or join them to what they belong to."), info: w("Join what belongs together.") },
  inverted_normals: { warning: w("Recalculate the normals outside.") },
  self_intersections: {
    warning: w("Join parts with a boolean union where you can."),
    info: w("Parts that are pushed into each other may stay; join them with a boolean union where you can."),
  },
  degenerate_faces: { warning: w("Merge by distance, then delete degenerate faces.") },
  uvs: { warning: w("Unwrap these triangles."), info: w("Unwrap the mesh if it shall carry a texture.") },
  texture_size: { warning: w("Scale the texture down."), info: w("Use a larger one if the object has detail.") },
  symmetry: { info: w("Compare with the photo: should the two sides be alike?") },
  up_axis: { warning: w("Export with y up.") },
  mask_agreement: { info: w("Blue is the mask's outline, orange the mesh's."), warning: w("Compare with the photo: blue is the mask's outline, orange the mesh's.") },
};

/** What a safe repair does, by its code. */
export const FIXES = {
  to_metres: w("Convert millimetres to metres"),
  turn_y_up: w("Turn the mesh y up"),
  merge_vertices: w("Merge vertices that were meant to be one"),
  remove_degenerate: w("Take out degenerate faces"),
  remove_duplicates: w("Take out doubled faces"),
  remove_floaters: w("Take out tiny loose parts"),
  fill_small_holes: w("Fill the small holes"),
  orient_normals: w("Turn all faces outwards"),
  flip_inside_out: w("Turn the mesh outside out"),
  decimate: w("Reduce the number of triangles"),
  shrink_textures: w("Scale the texture down"),
};

/** What the figures are called, in the order of the table that compares versions. */
export const FIGURES = {
  format: w("Format"),
  triangles: w("Triangles"),
  vertices: w("Vertices"),
  extents: w("Extents"),
  parts: w("Loose parts"),
  watertight: w("Watertight"),
  winding_consistent: w("Faces agree"),
  degenerate_triangles: w("Degenerate faces"),
  texture_coordinates: w("Texture coordinates"),
  mask_iou: w("Mask IoU"),
};

/** What a file can turn out to be, as model_zoo/io/sniff.py says it. */
export const KINDS = [
  w("a 7-Zip archive (use ZIP)"), w("a Blender file (export it as GLB)"), w("a BMP file"), w("a bzip2 archive (use ZIP)"), w("a CSV table"),
  w("a database"), w("a file of unknown kind"), w("a GIF file"), w("a GLB mesh"), w("a glTF mesh"), w("a gzip archive (use ZIP)"),
  w("a HEIC, AVIF or video file (save it as JPEG)"), w("a JPEG image"), w("a JSON file"), w("a NumPy archive (npz)"), w("a NumPy array"),
  w("a PDF document"), w("a Photoshop file"), w("a PLY mesh"), w("a PNG image"), w("a program"), w("a Python pickle, which is never loaded"),
  w("a RAR archive (use ZIP)"), w("a tar archive (use ZIP)"), w("a TIFF file"), w("a USD file (export it as GLB)"), w("a WebP image"),
  w("a YAML file, which is not accepted (use JSON)"), w("a ZIP archive"), w("a Zstandard archive (use ZIP)"), w("an empty file"),
  w("an empty ZIP archive"), w("an FBX file (export it as GLB)"), w("an HDF5 file"), w("an HTML page"), w("an OBJ mesh"), w("an STL mesh"),
  w("an SVG drawing"), w("an xz archive (use ZIP)"), w("JSON lines"), w("markup"), w("plain text"), w("UTF-16 text (save it as UTF-8)"),
];

const SHARES = new Set(["share", "iou", "good", "poor", "residual", "outside"]);

function written(params) {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, SHARES.has(name) ? percent(value, name === "residual" ? 1 : 0) : number(value)]));
}

/** The sentence of a finding {check, level, params, message}; a check that is not known keeps the server's words. */
export function sentence({ check, level, params = {}, message }) {
  const known = SENTENCES[check]?.[level];
  if (!known) return message;
  const text = Array.isArray(known) ? known.find(([holds]) => holds(params))[1] : known;
  const kind = KINDS.includes(params.kind) ? { kind: t(params.kind) } : {};
  return t(text, { ...written(params), ...kind, message });
}

/** What the artist can do about a finding; "" where there is nothing to mend. */
export function advice({ check, level, advice: own }) {
  if (level === "ok" || !own) return "";
  return t(ADVICE[check]?.[level] ?? own);
}

/** A figure of the report as people read it. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map((each) => number(each)).join(" × ");
  if (typeof value === "boolean") return value ? t("yes") : t("no");
  return number(value);
}
