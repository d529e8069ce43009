"""The peer of Iso-3DO's views: Blender draws a GLB from as many cameras, with depth and normals, on one thread.

Run by a Python that has the package bpy (its own environment: GPL, 900 MB), never imported here:
PYTHON blender_views.py MESH.glb OUT VIEWS SIZE SAMPLES. Prints processor seconds a view, files written included.
"""

import math
import sys
import time

import bpy
from mathutils import Vector


def main(mesh: str, out: str, views: int, size: int, samples: int) -> None:
    """Cycles on the CPU: combined colours on transparent film, depth and normals, as one EXR a view."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    bpy.ops.import_scene.gltf(filepath=mesh)
    corners = [o.matrix_world @ Vector(c) for o in scene.objects if o.type == "MESH" for c in o.bound_box]
    low, high = (Vector(map(pick, zip(*corners, strict=True))) for pick in (min, max))
    middle, reach = (low + high) / 2, (high - low).length / 2
    scene.world = bpy.data.worlds.new("even light")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.5, 0.5, 0.5, 1)
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.rotation_euler = (0.7, 0.3, 0)
    scene.collection.objects.link(sun)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.angle = math.radians(30)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device = samples, "CPU"
    scene.cycles.use_denoising = False
    scene.render.use_persistent_data = True  # else every view builds the scene anew
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.film_transparent = True
    scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_normal = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"

    def view(number: int) -> None:
        turn, height = number * 2.399963, 1 - (2 * number + 1) / views
        side = math.sqrt(1 - height * height)
        towards = Vector((side * math.cos(turn), side * math.sin(turn), height))
        camera.location = middle + towards * (1.1 * reach / math.sin(math.radians(15)))
        camera.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
        scene.render.filepath = f"{out}/view_{number:02d}"
        bpy.ops.render.render(write_still=True)

    view(0)  # reads kernels and textures
    started = time.process_time()
    for number in range(views):
        view(number)
    print(f"seconds a view: {(time.process_time() - started) / views:.4f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
