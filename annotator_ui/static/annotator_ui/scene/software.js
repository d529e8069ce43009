// Whether WebGL runs on the processor here: then smoothed edges cost three times the frame, and are left out.

const NAMES = /swiftshader|llvmpipe|softpipe|software|basic render/i;
let known = null;

/** True where the browser has no graphics hardware to draw with; asked of a context of its own, once. */
export function inSoftware() {
  known ??= NAMES.test(rendererName());
  return known;
}

function rendererName() {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = gl?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER) ?? "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return name;
}

/** How to make a renderer here: {antialias, ratio} with ratio device pixels per CSS pixel; `wanted` false: never smooth. */
export function quality(wanted = true) {
  const plain = inSoftware();
  return { antialias: wanted && !plain, ratio: plain ? 1 : Math.min(window.devicePixelRatio, 2) };
}
