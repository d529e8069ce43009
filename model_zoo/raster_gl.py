"""Draws with OpenGL 3.3 on EGL, without a window: Mesa's llvmpipe on a CPU, a driver's own EGL on a GPU.

Three passes. The first only asks which face covers each of the 3 x 3 samples of a pixel; the middle sample is the
pixel's centre. The second meets that face with the pixel's ray in float32, as a ray caster would, and shades it: once
at the centre where a pixel shows one smooth piece, at every sample where it shows an edge. The third turns sums of
linear light into sRGB. Depth, normals and texture levels so come from arithmetic and not from the driver.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from typing import Any

import moderngl
import numpy as np
import trimesh

from model_zoo.raster_parts import (
    LIGHTS,
    SAMPLES,
    TAPS,
    Lighting,
    Picture,
    Posed,
    Surface,
    Window,
    affine,
    edge_bend,
    mipmaps,
    window,
)

TILES = (256, 512, 1024)  # pixels a side of the targets that are kept
CACHE_BYTES = 512 << 20
ROW = 512  # faces in one row of a record texture
TEXELS = 7  # RGBA texels of a record
SRGB8 = 0x8C41
MOST_FACES = 1 << 24  # a face's number is a float32
MOST_ITEMS = 255

TRIANGLE = np.array([-1, -1, 3, -1, -1, 3], np.float32)
WHOLE = "#version 330\nin vec2 at; void main() { gl_Position = vec4(at, 0, 1); }"
COVER_VERTEX = """#version 330
in vec3 position; uniform mat4 clip;
void main() { gl_Position = clip * vec4(position, 1); }
"""
COVER_FRAGMENT = """#version 330
uniform float first; layout(location = 0) out float face;
void main() { face = first + float(gl_PrimitiveID); }
"""
SHADE = """#version 330
#define N SAMPLES
uniform sampler2D faces; uniform sampler2D depths; uniform sampler2D records; uniform sampler2D picture;
uniform float first; uniform float count; uniform float item; uniform float flatness;
uniform vec2 corner; uniform vec4 camera;  // 1/fx, 1/fy, cx, cy
uniform float skew;
uniform mat3 turn; uniform vec3 shift; uniform mat3 turn_normal;
uniform bool textured; uniform vec2 texels; uniform vec3 factor; uniform float metallic; uniform float roughness;
uniform vec3 ambient; uniform vec3 sky; uniform int lights; uniform vec3 towards[LIGHTS]; uniform vec3 colour[LIGHTS];
layout(location = 0) out vec4 o_lit; layout(location = 1) out vec4 o_base; layout(location = 2) out vec4 o_surface;

vec3 ray(vec2 pixel) {
    float y = (pixel.y - camera.w) * camera.y;
    return vec3((pixel.x - camera.z - skew * y) * camera.x, y, 1);
}

struct Hit { vec3 point; vec3 face; vec3 normal; vec3 base; };

Hit meet(float id, vec2 pixel, float step) {
    int index = int(id - first + 0.5);
    ivec2 at = ivec2((index % ROW) * TEXELS, index / ROW);
    vec4 r[TEXELS];
    for (int k = 0; k < TEXELS; k++) r[k] = texelFetch(records, at + ivec2(k, 0), 0);
    vec3 a = r[0].xyz, b = vec3(r[0].w, r[1].xy), c = vec3(r[1].zw, r[2].x);
    vec3 p = turn * a + shift, e = turn * (b - a), f = turn * (c - a), n = cross(e, f);
    float nn = max(dot(n, n), 1e-37), pn = dot(p, n);
    vec3 d = ray(pixel), dx = ray(pixel + vec2(step, 0)), dy = ray(pixel + vec2(0, step));
    // Barycentric weights of the two far corners, at the pixel and one step beside it.
    vec3 q = d * (pn / dot(d, n)) - p;
    vec2 w = vec2(dot(cross(q, f), n), dot(cross(e, q), n)) / nn;
    vec3 qx = dx * (pn / dot(dx, n)) - p, qy = dy * (pn / dot(dy, n)) - p;
    vec2 wx = vec2(dot(cross(qx, f), n), dot(cross(e, qx), n)) / nn - w;
    vec2 wy = vec2(dot(cross(qy, f), n), dot(cross(e, qy), n)) / nn - w;
    // A sample on an edge may miss by a hair, and an edge-on face has no plane to speak of.
    vec3 s = vec3(1 - w.x - w.y, w);
    s = max(s, 0.0); float sum = s.x + s.y + s.z; s = sum > 0.0 && sum < 1e9 ? s / sum : vec3(1) / 3;
    Hit hit;
    hit.point = p + s.y * e + s.z * f;
    hit.face = n * inversesqrt(nn);
    if (dot(hit.face, hit.point) > 0) hit.face = -hit.face;
    vec3 na = vec3(r[2].yzw), nb = r[3].xyz, nc = vec3(r[3].w, r[4].xy);
    vec3 smooth_normal = turn_normal * (na * s.x + nb * s.y + nc * s.z);
    // The two sides are told apart by the face, whose corners may turn away before it does.
    vec3 front = turn_normal * (na + nb + nc);
    hit.normal = normalize(smooth_normal) * (dot(front, hit.face) < 0 ? -1.0 : 1.0);
    vec3 la = vec3(r[4].zw, r[5].x), lb = vec3(r[5].yzw), lc = r[6].xyz;
    vec3 look = la * s.x + lb * s.y + lc * s.z;
    hit.base = look * factor;
    if (textured) {
        vec2 u = (lb - la).xy, v = (lc - la).xy;
        vec2 ax = (wx.x * u + wx.y * v) * texels, ay = (wy.x * u + wy.y * v) * texels;
        float lx = dot(ax, ax), ly = dot(ay, ay);
        vec2 along = lx > ly ? ax : ay;
        float most = sqrt(max(lx, ly)), least = sqrt(min(lx, ly));
        if (!(most < 1e9)) { most = 1e9; along = vec2(0); }
        float taps = clamp(ceil(most / max(least, 1e-9) - 0.5), 1.0, float(TAPS));
        float level = log2(max(max(most / taps, least), 1.0));
        vec3 sum3 = vec3(0);
        for (float k = 0; k < taps; k += 1)
            sum3 += textureLod(picture, look.xy + along / texels * ((k + 0.5) / taps - 0.5), level).rgb;
        hit.base = sum3 / taps * factor;
    }
    return hit;
}

vec3 light(Hit hit) {
    vec3 n = hit.normal, v = normalize(-hit.point);
    vec3 sum = hit.base * (ambient + sky * (0.5 - 0.5 * n.y));
    float a = max(roughness * roughness, 0.06), power = 2.0 / (a * a) - 2.0;
    float diffuse = 1.0 - 0.6 * metallic * (1.0 - a);
    vec3 f0 = mix(vec3(0.04), hit.base, metallic);
    for (int k = 0; k < lights; k++) {
        float cosine = dot(n, towards[k]);
        if (cosine > 0) {
            float half_way = max(dot(n, normalize(v + towards[k])), 1e-4);
            vec3 gloss = f0 * ((power + 2.0) / 8.0 * pow(half_way, power));
            sum += colour[k] * cosine * (hit.base * diffuse + gloss);
        }
    }
    return sum;
}

void main() {
    ivec2 cell = ivec2(gl_FragCoord.xy);
    vec2 pixel = corner + vec2(cell);
    float id[N * N]; float covered = 0.0; bool same = true;
    for (int k = 0; k < N * N; k++) {
        id[k] = texelFetch(faces, cell * N + ivec2(k % N, k / N), 0).r;
        bool ours = id[k] >= first && id[k] < first + count;
        if (!ours) id[k] = 0.0;
        covered += ours ? 1.0 : 0.0;
        same = same && id[k] == id[0];
    }
    if (covered == 0.0) discard;
    bool edge = covered < float(N * N);
    if (!edge && !same) {
        // A plane's depth-buffer values lie on a plane: what bends or jumps within the pixel is an edge.
        float z[N * N];
        for (int k = 0; k < N * N; k++) z[k] = texelFetch(depths, cell * N + ivec2(k % N, k / N), 0).r;
        float bend = max(max(abs(z[3] + z[5] - 2 * z[4]), abs(z[1] + z[7] - 2 * z[4])),
                         max(abs(z[0] + z[8] - 2 * z[4]), abs(z[2] + z[6] - 2 * z[4])));
        edge = bend > flatness;
    }
    o_surface = vec4(0); vec3 lit = vec3(0), base = vec3(0);
    float centre = id[N * N / 2];
    if (centre > 0.0) {
        Hit hit = meet(centre, pixel, edge ? 1.0 / N : 1.0);
        o_surface = vec4(hit.face, hit.point.z);
        float weight = edge ? 1.0 : float(N * N);
        lit = weight * min(light(hit), 1.0); base = weight * hit.base;
    }
    if (edge)
        for (int k = 0; k < N * N; k++)
            if (k != N * N / 2 && id[k] > 0.0) {
                vec2 at = pixel + vec2(k % N - N / 2, k / N - N / 2) / float(N);
                Hit hit = meet(id[k], at, 1.0 / N);
                lit += min(light(hit), 1.0); base += hit.base;
            }
    o_lit = vec4(lit, covered); o_base = vec4(base, centre > 0.0 ? item : 0.0);
}
"""
ENCODE = """#version 330
uniform sampler2D lit; uniform sampler2D base;
layout(location = 0) out vec4 o_lit; layout(location = 1) out vec4 o_base;
vec3 encode(vec3 x) {
    x = clamp(x, 0.0, 1.0);
    return mix(1.055 * pow(x, vec3(1.0 / 2.4)) - 0.055, 12.92 * x, lessThanEqual(x, vec3(0.0031308)));
}
void main() {
    ivec2 cell = ivec2(gl_FragCoord.xy);
    vec4 l = texelFetch(lit, cell, 0), b = texelFetch(base, cell, 0);
    o_lit = o_base = vec4(0);
    if (l.a > 0.0) {
        o_lit = vec4(encode(l.rgb / l.a), l.a / float(SAMPLES * SAMPLES));
        o_base = vec4(encode(b.rgb / l.a), b.a / 255.0);
    }
}
"""


def _source(text: str) -> str:
    for name, value in (
        ("SAMPLES", SAMPLES),
        ("LIGHTS", LIGHTS),
        ("TEXELS", TEXELS),
        ("ROW", ROW),
        ("TAPS", TAPS),
    ):
        text = text.replace(name, str(value))
    return text


class _Targets:
    """Where tiles of up to `side` pixels are drawn."""

    def __init__(self, context: moderngl.Context, side: int) -> None:
        fine, coarse = (side * SAMPLES,) * 2, (side, side)
        self.faces = context.texture(fine, 1, dtype="f4")
        self.depths = context.depth_texture(fine)
        self.depths.compare_func = ""
        self.cover = context.framebuffer([self.faces], self.depths)
        self.sums = [context.texture(coarse, 4, dtype="f4") for _ in range(3)]
        self.shade = context.framebuffer(self.sums)
        self.encode = context.framebuffer([context.renderbuffer(coarse, 4) for _ in range(2)])
        for texture in (self.faces, self.depths, *self.sums):
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)


class _Upload:
    """A surface's buffers and textures."""

    def __init__(self, context: moderngl.Context, cover: moderngl.Program, surface: Surface) -> None:
        self.surface = surface
        self.positions = context.buffer(surface.vertices.tobytes())
        self.indices = context.buffer(surface.faces.tobytes())
        self.array = context.vertex_array(cover, [(self.positions, "3f", "position")], self.indices)
        rows = -(-len(surface.faces) // ROW)
        records = np.zeros((rows * ROW, TEXELS * 4), np.float32)
        records[: len(surface.faces), :27] = surface.records
        self.records = context.texture((ROW * TEXELS, rows), 4, records.tobytes(), dtype="f4")
        self.records.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self.picture: moderngl.Texture | None = None
        self.bytes = records.nbytes + surface.vertices.nbytes + surface.faces.nbytes
        if surface.texture is not None:
            levels = mipmaps(surface.texture)
            size = (levels[0].shape[1], levels[0].shape[0])
            self.picture = context.texture(size, 3, levels[0].tobytes(), alignment=1, internal_format=SRGB8)
            self.picture.build_mipmaps(0, len(levels) - 1)  # makes room for the levels
            for level, pixels in enumerate(levels[1:], 1):
                self.picture.write(pixels.tobytes(), level=level, alignment=1)
            self.picture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            self.bytes += sum(level.nbytes for level in levels)
        surface.records = surface.records[:0]  # the card has them now

    def release(self) -> None:
        for part in (self.array, self.positions, self.indices, self.records, self.picture):
            if part is not None:
                part.release()


class Engine:
    """The OpenGL context of one thread of one process, and the meshes it holds. Raises what moderngl raises."""

    def __init__(self) -> None:
        self.context = moderngl.create_context(standalone=True, backend="egl", require=330)
        self.name = str(self.context.info["GL_RENDERER"])
        self.cover = self.context.program(vertex_shader=COVER_VERTEX, fragment_shader=COVER_FRAGMENT)
        self.shade = self.context.program(vertex_shader=WHOLE, fragment_shader=_source(SHADE))
        self.encode = self.context.program(vertex_shader=WHOLE, fragment_shader=_source(ENCODE))
        corners = self.context.buffer(TRIANGLE.tobytes())
        self.shade_all = self.context.vertex_array(self.shade, [(corners, "2f", "at")])
        self.encode_all = self.context.vertex_array(self.encode, [(corners, "2f", "at")])
        self.white = self.context.texture((1, 1), 4, b"\xff" * 4)
        self.targets: dict[int, _Targets] = {}
        self.held: OrderedDict[int, tuple[weakref.ref[trimesh.Trimesh], _Upload]] = OrderedDict()
        for unit, name in enumerate(("faces", "depths", "records", "picture")):
            self.shade[name].value = unit
        self.encode["lit"].value, self.encode["base"].value = 0, 1

    def draw(
        self,
        items: list[tuple[trimesh.Trimesh, Posed]],
        K: np.ndarray,
        size: tuple[int, int],
        lighting: Lighting,
    ) -> Picture:
        """See model_zoo.raster.Raster.draw."""
        picture = Picture.empty(size)
        uploads = [self._upload(mesh) for mesh, _ in items]
        places = [affine(up.surface, pose) for up, (_, pose) in zip(uploads, items, strict=True)]
        seen = window([up.surface for up in uploads], places, K, size)
        if seen is None:
            return picture
        self._set_lights(lighting)
        longest = max(seen.right - seen.left, seen.bottom - seen.top)
        side = next((n for n in TILES if n >= longest), TILES[-1])
        targets = self.targets.get(side) or self.targets.setdefault(side, _Targets(self.context, side))
        for top in range(seen.top, seen.bottom, side):
            for left in range(seen.left, seen.right, side):
                tile = Window(
                    left, top, min(left + side, seen.right), min(top + side, seen.bottom), seen.near, seen.far
                )
                self._tile(targets, uploads, places, K, tile, picture)
        self._shrink({id(mesh) for mesh, _ in items})
        return picture

    def _tile(
        self,
        targets: _Targets,
        uploads: list[_Upload],
        places: list[tuple[np.ndarray, np.ndarray]],
        K: np.ndarray,
        tile: Window,
        picture: Picture,
    ) -> None:
        width, height = tile.right - tile.left, tile.bottom - tile.top
        whole = (0, 0, width, height)
        fine = (0, 0, width * SAMPLES, height * SAMPLES)
        firsts = np.cumsum([1] + [len(up.surface.faces) for up in uploads])
        targets.cover.use()
        targets.cover.viewport = fine
        targets.cover.clear(depth=1.0, viewport=fine)
        self.context.disable(moderngl.BLEND)
        self.context.enable(moderngl.DEPTH_TEST)
        project = _projection(K, tile)
        for up, (A, b), first in zip(uploads, places, firsts, strict=False):
            if len(up.surface.faces):
                self.cover["first"].value = float(first)
                self.cover["clip"].write(_columns(project @ np.vstack([np.c_[A, b], [0, 0, 0, 1]])))
                up.array.render(moderngl.TRIANGLES)
        self.context.disable(moderngl.DEPTH_TEST)
        if len(uploads) > 1:
            self.context.enable(moderngl.BLEND)
            self.context.blend_func = moderngl.ONE, moderngl.ONE
        targets.shade.use()
        targets.shade.viewport = whole
        targets.shade.clear(viewport=whole)
        targets.faces.use(0)
        targets.depths.use(1)
        self._set("corner", (float(tile.left), float(tile.top)))
        self._set("camera", (1 / K[0, 0], 1 / K[1, 1], K[0, 2], K[1, 2]))
        self._set("skew", float(K[0, 1]))
        # The depth buffer's values (0..1) go with 1/z.
        self._set("flatness", edge_bend(tile, K) * tile.far * tile.near / (tile.far - tile.near))
        for number, (up, (A, b), first) in enumerate(zip(uploads, places, firsts, strict=False)):
            if len(up.surface.faces):
                self._set_item(up, A, b, float(first), number)
                self.shade_all.render(moderngl.TRIANGLES, vertices=3)
        self.context.disable(moderngl.BLEND)
        targets.encode.use()
        targets.encode.viewport = whole
        targets.sums[0].use(0)
        targets.sums[1].use(1)
        self.encode_all.render(moderngl.TRIANGLES, vertices=3)
        _read(targets, tile, whole, picture)

    def _set(self, name: str, value: Any) -> None:
        self.shade[name].value = value

    def _set_lights(self, lighting: Lighting) -> None:
        self._set("ambient", tuple(map(float, lighting.ambient)))
        self._set("sky", tuple(map(float, lighting.sky)))
        self._set("lights", len(lighting.lights))
        towards, colour = np.zeros((2, LIGHTS, 3))
        for k, light in enumerate(lighting.lights):
            direction = np.asarray(light.towards, float)
            towards[k], colour[k] = direction / max(np.linalg.norm(direction), 1e-12), light.colour
        self.shade["towards"].write(towards.astype("f4").tobytes())
        self.shade["colour"].write(colour.astype("f4").tobytes())

    def _set_item(self, up: _Upload, A: np.ndarray, b: np.ndarray, first: float, number: int) -> None:
        surface = up.surface
        self._set("first", first)
        self._set("count", float(len(surface.faces)))
        self._set("item", float(number + 1))
        self.shade["turn"].write(_columns(A))
        self.shade["turn_normal"].write(_columns(np.linalg.inv(A).T * np.cbrt(abs(np.linalg.det(A)))))
        self._set("shift", tuple(map(float, b)))
        self._set("textured", up.picture is not None)
        self._set("factor", tuple(map(float, surface.factor)))
        self._set("metallic", surface.metallic)
        self._set("roughness", surface.roughness)
        if up.picture is not None:
            self._set("texels", tuple(map(float, up.picture.size)))
        up.records.use(2)
        (up.picture or self.white).use(3)

    def _upload(self, mesh: trimesh.Trimesh) -> _Upload:
        known = self.held.get(id(mesh))
        if known is not None and known[0]() is mesh:
            self.held.move_to_end(id(mesh))
            return known[1]
        if known is not None:
            self.held.pop(id(mesh))[1].release()
        made = _Upload(self.context, self.cover, Surface(mesh))
        self.held[id(mesh)] = (weakref.ref(mesh), made)
        return made

    def _shrink(self, wanted: set[int]) -> None:
        """Lets go of meshes that are gone, and of the oldest while there are too many bytes."""
        for key in [key for key, (mesh, _) in self.held.items() if mesh() is None]:
            self.held.pop(key)[1].release()
        while sum(up.bytes for _, up in self.held.values()) > CACHE_BYTES:
            oldest = next((key for key in self.held if key not in wanted), None)
            if oldest is None:
                return
            self.held.pop(oldest)[1].release()


def _projection(K: np.ndarray, tile: Window) -> np.ndarray:
    """Clip coordinates (4,4) of camera points; row 0 of the target is the top row, centres of pixels at + 0.5."""
    width, height, near, far = tile.right - tile.left, tile.bottom - tile.top, tile.near, tile.far
    x, y = 2 / width, 2 / height
    return np.array(
        [
            [x * K[0, 0], x * K[0, 1], x * (K[0, 2] - tile.left + 0.5) - 1, 0],
            [0, y * K[1, 1], y * (K[1, 2] - tile.top + 0.5) - 1, 0],
            [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, 1, 0],
        ]
    )


def _columns(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()


def _read(targets: _Targets, tile: Window, whole: tuple[int, int, int, int], picture: Picture) -> None:
    shape = (whole[3], whole[2], 4)
    lit, base = (
        np.frombuffer(targets.encode.read(whole, 4, attachment=k, alignment=1), np.uint8).reshape(shape)
        for k in (0, 1)
    )
    surface = np.frombuffer(targets.shade.read(whole, 4, attachment=2, dtype="f4"), np.float32).reshape(shape)
    at = np.s_[tile.top : tile.bottom, tile.left : tile.right]
    picture.rgb[at], picture.alpha[at], picture.base[at] = lit[..., :3], lit[..., 3], base[..., :3]
    mask = base[..., 3] > 0
    picture.mask[at] = mask
    picture.instance[at] = base[..., 3].astype(np.int32) - 1
    picture.normals[at] = surface[..., :3]
    picture.depth[at] = np.where(mask, surface[..., 3], np.float32(np.nan))


_local = threading.local()
_opened: list[int] = []  # processes, this one's parents too, that have opened OpenGL before a fork


def engine() -> Engine:
    """This thread's engine. Raises RuntimeError, or what moderngl raises, where OpenGL cannot be had."""
    known = getattr(_local, "engine", None)
    if known is not None and _local.process == os.getpid():
        return known
    # Without threads of its own llvmpipe survives a fork, and a pool of processes has one core each.
    threads = os.environ.setdefault("LP_NUM_THREADS", "0")
    if _opened and _opened[-1] != os.getpid() and threads != "0":
        raise RuntimeError(
            "OpenGL was opened before this process was forked, with LP_NUM_THREADS other than 0"
        )
    _local.engine, _local.process = Engine(), os.getpid()
    _opened.append(os.getpid())
    return _local.engine
