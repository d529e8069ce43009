"""Django admin of the catalog. Content-addressed rows are shown, not edited."""

from django.contrib import admin

from backend.catalog.models import Batch, Image, Mesh, Pointmap, TargetObject, Truth
from backend.readonly import ReadOnlyAdmin


@admin.register(Batch)
class BatchAdmin(admin.ModelAdmin):
    """Batches: configuration may change, the row stays."""

    list_display = ["name", "kind", "judges", "state", "priority", "n_candidates", "alpha", "overlap", "created_at"]
    list_filter = ["state", "kind", "judges"]
    search_fields = ["name"]
    raw_id_fields = ["created_by"]


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    """Photos."""

    list_display = ["name", "width", "height", "licence", "consent", "side", "removed_at", "created_at"]
    list_filter = ["side", ("removed_at", admin.EmptyFieldListFilter), "licence", "consent"]
    search_fields = ["name", "licence", "consent"]


@admin.register(Pointmap)
class PointmapAdmin(ReadOnlyAdmin):
    """Pointmaps and where they came from."""

    list_display = ["id", "image", "source", "metric", "created_at"]
    list_filter = ["source", "metric"]
    list_select_related = ["image"]


@admin.register(TargetObject)
class TargetObjectAdmin(ReadOnlyAdmin):
    """Objects."""

    list_display = ["id", "name", "category", "image", "area", "aesthetic", "drawn_by", "created_at"]
    list_filter = ["aesthetic"]
    list_select_related = ["image", "drawn_by"]
    search_fields = ["name", "category"]


@admin.register(Mesh)
class MeshAdmin(ReadOnlyAdmin):
    """Meshes of the library, of proposers, of artists."""

    list_display = ["id", "name", "category", "source", "triangles", "licence", "created_at"]
    list_filter = ["source"]
    search_fields = ["name", "category"]


@admin.register(Truth)
class TruthAdmin(ReadOnlyAdmin):
    """Known poses, for admins' eyes only."""

    list_display = ["id", "object", "mesh", "measured"]
    list_select_related = ["object", "mesh"]
