"""Draws with OpenGL 3.3 on EGL, without a window: Mesa's llvmpipe on a CPU, a driver's own EGL on a GPU.

Two programs. `cover` finds the face that each pixel's centre sees; it does nothing else, because llvmpipe pays for
every triangle's fragments in blocks of 16. Its vertices are the faces' corners, unshared, so that their numbers give
the face: gl_PrimitiveID costs more. `shade` takes one fragment a sample, meets its face with the pixel's ray in float32
and chooses the texture's levels itself: only the bilinear filter is the driver's.
"""

from __future__ import annotations

import os
import threading
import weakref

import moderngl
import numpy as np

from model_zoo.raster_parts import EDGE_STEP, LIGHTS, SHARPER, Hits, Lighting, Placed, Samples, Surface, unit

ROW = 512  # faces in one row of a record texture
TEXELS = 7  # RGBA texels of a record
WIDE, HIGH = 1024, 64  # samples that are shaded at a time: few enough to stay in the processor's cache
SIDES = (256, 512, 1024)  # pixels a side of the targets that are kept
SRGB8 = 0x8C41
TRIANGLE = np.array([-1, -1, 3, -1, -1, 3], np.float32)
COVER_VERTEX = """#version 330
in vec3 position; uniform mat4 clip; uniform int first; flat out float face;
void main() { gl_Position = clip * vec4(position, 1); face = float(first + gl_VertexID / 3); }
"""
COVER_FRAGMENT = """#version 330
flat in float face; layout(location = 0) out vec2 seen;
void main() { seen = vec2(face, 1.0 / gl_FragCoord.w); }
"""
VERTEX = "#version 330\nin vec2 at; void main() { gl_Position = vec4(at, 0, 1); }"
FRAGMENT = f"""
uniform sampler2D samples; uniform sampler2D records; uniform sampler2D picture;
uniform vec4 camera;  // 1/fx, 1/fy, cx, cy
uniform float skew;
uniform mat3 turn; uniform vec3 shift; uniform mat3 turn_normal;
uniform bool textured; uniform vec2 texels; uniform vec3 factor; uniform float metallic; uniform float roughness;
uniform vec3 glow;
#ifdef MAPS
uniform sampler2D detail; uniform sampler2D shine; uniform vec2 detail_texels; uniform vec2 shine_texels;
#endif
uniform vec3 ambient; uniform vec3 sky; uniform int lights; uniform vec3 towards[{LIGHTS}]; uniform vec3 colour[{LIGHTS}];
layout(location = 0) out vec4 o_lit; layout(location = 1) out vec4 o_base;

vec3 ray(vec2 pixel) {{
    float y = (pixel.y - camera.w) * camera.y;
    return vec3((pixel.x - camera.z - skew * y) * camera.x, y, 1);
}}

vec3 encode(vec3 x) {{
    x = clamp(x, 0.0, 1.0);
    return mix(1.055 * pow(x, vec3(1.0 / 2.4)) - 0.055, 12.92 * x, lessThanEqual(x, vec3(0.0031308)));
}}

// The texture's level for a footprint with these sides in texels.
float level(vec2 ax, vec2 ay) {{
    float lx = dot(ax, ax), ly = dot(ay, ay);
    return min(0.5 * log2(max(max(lx, ly) / {SHARPER**2}, max(min(lx, ly), 1.0))), 30.0);
}}

void main() {{
    vec4 one = texelFetch(samples, ivec2(gl_FragCoord.xy), 0);
    if (one.z < 0.0) discard;
    int index = int(one.z + 0.5), code = int(one.w + 0.5);
    vec2 pixel = one.xy;
    // Not a loop over an array, and no division: llvmpipe would keep the one in memory and do the other lane by lane.
    ivec2 at = ivec2((index & {ROW - 1}) * {TEXELS}, index >> {ROW.bit_length() - 1});
    vec4 r0 = texelFetch(records, at, 0), r1 = texelFetch(records, at + ivec2(1, 0), 0);
    vec4 r2 = texelFetch(records, at + ivec2(2, 0), 0), r3 = texelFetch(records, at + ivec2(3, 0), 0);
    vec4 r4 = texelFetch(records, at + ivec2(4, 0), 0), r5 = texelFetch(records, at + ivec2(5, 0), 0);
    vec4 r6 = texelFetch(records, at + ivec2(6, 0), 0);

    // Barycentric weights w of the two far corners where the pixel's ray meets the face's plane.
    vec3 a = r0.xyz, b = vec3(r0.w, r1.xy), c = vec3(r1.zw, r2.x);
    vec3 p = turn * a + shift, e = turn * (b - a), f = turn * (c - a), n = cross(e, f);
    float nn = max(dot(n, n), 1e-37), pn = dot(p, n);
    vec3 d = ray(pixel), q = d * (pn / dot(d, n)) - p;
    vec3 fn = cross(f, n) / nn, en = cross(n, e) / nn;
    vec2 w = vec2(dot(q, fn), dot(q, en));
    vec3 s = max(vec3(1 - w.x - w.y, w), 0.0);
    float sum = s.x + s.y + s.z;
    s = sum > 0.0 && sum < 1e9 ? s / sum : vec3(1) / 3;
    vec3 point = p + s.y * e + s.z * f;

    // The two sides are told apart by the face, whose corners may turn away before it does.
    vec3 na = vec3(r2.yzw), nb = r3.xyz, nc = vec3(r3.w, r4.xy);
    vec3 face = dot(n, point) > 0 ? -n : n;
    float side = dot(turn_normal * (na + nb + nc), face) < 0 ? -1.0 : 1.0;
    vec3 normal = side * normalize(turn_normal * (na * s.x + nb * s.y + nc * s.z));

    vec3 la = vec3(r4.zw, r5.x), lb = vec3(r5.yzw), lc = r6.xyz;
    vec3 base = la * s.x + lb * s.y + lc * s.z, shining = glow;
    float rough = roughness, metal = metallic;
    if (textured) {{
        float step = (code & 1) == 1 ? {EDGE_STEP} : 1.0;
        vec3 dx = ray(pixel + vec2(step, 0)), dy = ray(pixel + vec2(0, step));
        vec3 qx = dx * (pn / dot(dx, n)) - p - q, qy = dy * (pn / dot(dy, n)) - p - q;
        vec2 uv = base.xy, u = (lb - la).xy, v = (lc - la).xy;
        vec2 ax = dot(qx, fn) * u + dot(qx, en) * v, ay = dot(qy, fn) * u + dot(qy, en) * v;
        base = textureLod(picture, uv, level(ax * texels, ay * texels)).rgb;
#ifdef MAPS
        vec4 more = textureLod(detail, uv, level(ax * detail_texels, ay * detail_texels));
        rough = more.z; metal = more.w;
        shining *= textureLod(shine, uv, level(ax * shine_texels, ay * shine_texels)).rgb;
        // glTF's tangent frame, from how the face's uv grow: x along u, y against v (which points down here).
        float turned = u.x * v.y < u.y * v.x ? -1.0 : 1.0;
        vec3 tangent = turned * (e * v.y - f * u.y), down = turned * (f * u.x - e * v.x);
        tangent -= normal * dot(normal, tangent); down -= normal * dot(normal, down);
        if (dot(tangent, tangent) > 0.0 && dot(down, down) > 0.0) {{
            vec2 xy = 2.0 * more.xy - 1.0;
            normal = normalize(side * (xy.x * normalize(tangent) - xy.y * normalize(down))
                + sqrt(max(1.0 - dot(xy, xy), 1e-6)) * normal);
        }}
#endif
    }}
    base *= factor;

    vec3 lit = base * (ambient + sky * (0.5 - 0.5 * normal.y)) + shining, view = normalize(-point);
    rough = max(rough * rough, 0.06);
    float power = 2.0 / (rough * rough) - 2.0, diffuse = 1.0 - 0.6 * metal * (1.0 - rough);
    vec3 f0 = mix(vec3(0.04), base, metal) * ((power + 2.0) / 8.0);
    for (int k = 0; k < lights; k++) {{
        float cosine = dot(normal, towards[k]);
        if (cosine > 0 && ((code >> (k + 1)) & 1) == 1) {{
            float half_way = max(dot(normal, normalize(view + towards[k])), 1e-4);
            lit += colour[k] * cosine * (base * diffuse + f0 * pow(half_way, power));
        }}
    }}
    o_lit = vec4(encode(lit), 1); o_base = vec4(encode(base + shining), 1);
}}
"""


class _Upload:
    """A surface's records and textures on the card."""

    def __init__(self, context: moderngl.Context, cover: moderngl.Program, surface: Surface) -> None:
        self.corners = context.buffer(surface.vertices[surface.faces].tobytes())
        self.array = context.vertex_array(cover, [(self.corners, "3f", "position")])
        rows = -(-surface.count // ROW)
        records = np.zeros((rows * ROW, TEXELS * 4), np.float32)
        records[: surface.count, : surface.records.shape[1]] = surface.records
        self.records = context.texture((ROW * TEXELS, rows), 4, records.tobytes(), dtype="f4")
        self.records.filter = (moderngl.NEAREST, moderngl.NEAREST)
        # The base colour's, and with maps the detail and what shines.
        maps = [surface.maps.detail, surface.maps.glow] if surface.maps else []
        self.pictures = [_texture(context, levels) for levels in (surface.levels, *maps) if levels]

    def release(self) -> None:
        for part in (self.array, self.corners, self.records, *self.pictures):
            part.release()


def _texture(context: moderngl.Context, levels: list[np.ndarray]) -> moderngl.Texture:
    """A texture with its halvings: sRGB (H,W,3), or numbers (H,W,4)."""
    height, width, channels = levels[0].shape
    more = {"internal_format": SRGB8} if channels == 3 else {}
    made = context.texture((width, height), channels, alignment=1, **more)
    made.build_mipmaps(0, len(levels) - 1)  # makes room for the levels
    for level, pixels in enumerate(levels):
        made.write(pixels.tobytes(), level=level, alignment=1)
    made.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    return made


class Engine:
    """The OpenGL context of one thread of one process, and what it holds of live surfaces."""

    def __init__(self) -> None:
        self.context = moderngl.create_context(standalone=True, backend="egl", require=330)
        self.cover = self.context.program(vertex_shader=COVER_VERTEX, fragment_shader=COVER_FRAGMENT)
        self.covers: dict[int, moderngl.Framebuffer] = {}
        self.corners = self.context.buffer(TRIANGLE.tobytes())
        self.shaders: dict[bool, moderngl.VertexArray] = {}  # without maps and with
        self.white = self.context.texture((1, 1), 4, b"\xff" * 4)
        self.samples = self.context.texture((WIDE, HIGH), 4, dtype="f4")
        self.samples.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self.target = self.context.framebuffer([self.context.renderbuffer((WIDE, HIGH), 4) for _ in range(2)])
        self.held: dict[int, tuple[weakref.ref[Surface], _Upload]] = {}

    def see(
        self,
        placed: list[Placed],
        corner: tuple[int, int],
        shape: tuple[int, int],
        depths: tuple[float, float],
    ) -> Hits:
        """Hits (H*W,) at the pixel centres of a (H, W) grid whose first is `corner` (x, y), between two depths."""
        height, width = shape
        if max(shape) > SIDES[-1]:
            raise ValueError(f"at most {SIDES[-1]} pixels a side can be drawn at a time")
        whole = (0, 0, width, height)
        target = self._cover_target(max(shape))
        target.use()
        target.viewport = whole
        target.clear(depth=1.0, viewport=whole)
        self.context.enable(moderngl.DEPTH_TEST)
        firsts = np.cumsum([1] + [one.surface.count for one in placed])
        for one, first in zip(placed, firsts, strict=False):
            if one.surface.count:
                self.cover["first"].value = int(first)
                place = np.vstack([np.c_[one.A, one.b], [0, 0, 0, 1]])
                self.cover["clip"].write(_columns(_projection(one.K, corner, shape, depths) @ place))
                self._upload(one.surface).array.render(moderngl.TRIANGLES)
        self.context.disable(moderngl.DEPTH_TEST)
        read = np.empty((height * width, 2), np.float32)
        target.read_into(read, whole, 2, dtype="f4", alignment=4)
        number = read[:, 0].astype(np.int32)
        if len(placed) == 1:
            return Hits(np.where(number > 0, np.int32(0), np.int32(-1)), number - 1, read[:, 1])
        item = np.searchsorted(firsts, number, side="right").astype(np.int32) - 1
        return Hits(item, number - firsts[item].astype(np.int32), read[:, 1])

    def _cover_target(self, side: int) -> moderngl.Framebuffer:
        side = next(n for n in SIDES if n >= side)
        if side not in self.covers:
            seen = self.context.texture((side, side), 2, dtype="f4")
            self.covers[side] = self.context.framebuffer(
                [seen], self.context.depth_renderbuffer((side, side))
            )
        return self.covers[side]

    def shade(self, placed: Placed, samples: Samples, lighting: Lighting) -> tuple[np.ndarray, np.ndarray]:
        """sRGB of the samples, packed as uint32 (N,), red first in memory: lit, and base as in a Picture."""
        shader = self._shader(maps=placed.surface.maps is not None)
        self._place(placed, shader.program)
        self._light(lighting, shader.program)
        count = len(samples.faces)
        lit, base = np.empty((2, count), np.uint32)
        code = (samples.step < 1) + 2 * samples.lit
        for start in range(0, count, WIDE * HIGH):
            part = slice(start, min(start + WIDE * HIGH, count))
            self._part(
                shader, samples, code if np.isscalar(code) else code[part], part, (lit[part], base[part])
            )
        return lit, base

    def _shader(self, maps: bool) -> moderngl.VertexArray:
        """Two programs, not a branch: llvmpipe would go through both of its sides."""
        if maps not in self.shaders:
            head = "#version 330\n" + "#define MAPS\n" * maps
            program = self.context.program(vertex_shader=VERTEX, fragment_shader=head + FRAGMENT)
            names = ("samples", "records", "picture", "detail", "shine")
            for place, name in enumerate(names if maps else names[:3]):
                program[name].value = place
            self.shaders[maps] = self.context.vertex_array(program, [(self.corners, "2f", "at")])
        return self.shaders[maps]

    def _part(
        self,
        shader: moderngl.VertexArray,
        samples: Samples,
        code: np.ndarray | int,
        part: slice,
        into: tuple[np.ndarray, np.ndarray],
    ) -> None:
        count = part.stop - part.start
        rows = -(-count // WIDE)
        packed = np.empty((rows * WIDE, 4), np.float32)
        packed[:count, :2] = samples.pixels[part]
        packed[:count, 2] = samples.faces[part]
        packed[:count, 3] = code
        packed[count:] = -1
        whole = (0, 0, WIDE, rows)
        self.samples.write(packed, viewport=whole)
        self.target.use()
        self.target.viewport = whole
        self.samples.use(0)
        shader.render(moderngl.TRIANGLES, vertices=3)
        for k, colours in enumerate(into):
            read = np.empty(rows * WIDE, np.uint32)
            self.target.read_into(read, whole, 4, attachment=k, alignment=1)
            colours[:] = read[:count]

    def _light(self, lighting: Lighting, program: moderngl.Program) -> None:
        program["ambient"].value = tuple(map(float, lighting.ambient))
        program["sky"].value = tuple(map(float, lighting.sky))
        program["lights"].value = len(lighting.lights)
        towards, colour = np.zeros((2, LIGHTS, 3), np.float32)
        for k, light in enumerate(lighting.lights):
            towards[k], colour[k] = unit(np.asarray(light.towards, float)), light.colour
        program["towards"].write(towards.tobytes())
        program["colour"].write(colour.tobytes())

    def _place(self, placed: Placed, program: moderngl.Program) -> None:
        surface, K = placed.surface, placed.K
        up = self._upload(surface)
        program["camera"].value = (1 / K[0, 0], 1 / K[1, 1], K[0, 2], K[1, 2])
        program["skew"].value = float(K[0, 1])
        program["turn"].write(_columns(placed.A))
        program["turn_normal"].write(_columns(placed.turn_normal()))
        program["shift"].value = tuple(map(float, placed.b))
        program["textured"].value = bool(up.pictures)
        for name, picture in zip(("texels", "detail_texels", "shine_texels"), up.pictures, strict=False):
            program[name].value = tuple(map(float, picture.size))
        program["factor"].value = tuple(map(float, surface.factor))
        program["glow"].value = tuple(map(float, surface.glow))
        program["metallic"].value, program["roughness"].value = surface.metallic, surface.roughness
        up.records.use(1)
        for place, picture in enumerate(up.pictures or [self.white]):
            picture.use(2 + place)

    def _upload(self, surface: Surface) -> _Upload:
        known = self.held.get(id(surface))
        if known is not None and known[0]() is surface:
            return known[1]
        for key in [key for key, (alive, _) in self.held.items() if alive() is None]:
            self.held.pop(key)[1].release()
        made = _Upload(self.context, self.cover, surface)
        self.held[id(surface)] = (weakref.ref(surface), made)
        return made


def _projection(
    K: np.ndarray, corner: tuple[int, int], shape: tuple[int, int], depths: tuple[float, float]
) -> np.ndarray:
    """Clip coordinates (4,4) of camera points; the target's row 0 is the top row, centres lie at + 0.5."""
    (left, top), (height, width), (near, far) = corner, shape, depths
    x, y = 2 / width, 2 / height
    return np.array(
        [
            [x * K[0, 0], x * K[0, 1], x * (K[0, 2] - left + 0.5) - 1, 0],
            [0, y * K[1, 1], y * (K[1, 2] - top + 0.5) - 1, 0],
            [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, 1, 0],
        ]
    )


def _columns(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()


_local = threading.local()
_opened: list[int] = []  # processes that have opened OpenGL: this one, or one that it was forked from


def engine() -> Engine:
    """This thread's engine. Raises RuntimeError, or what moderngl raises, where OpenGL cannot be had."""
    if getattr(_local, "process", None) == os.getpid():
        return _local.engine
    # Without threads of its own llvmpipe survives a fork, and a pool of processes has one core each.
    threads = os.environ.setdefault("LP_NUM_THREADS", "0")
    if _opened and _opened[-1] != os.getpid() and threads != "0":
        raise RuntimeError(
            "OpenGL was opened before this process was forked, with LP_NUM_THREADS other than 0"
        )
    _local.engine, _local.process = Engine(), os.getpid()
    _opened.append(os.getpid())
    return _local.engine
