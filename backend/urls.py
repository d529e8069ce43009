"""Every route of the product, in one place."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from backend.accounts import api as accounts
from backend.annotation import api as annotation

api = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    # accounts
    path("token/", accounts.token),
    path("me/", accounts.me),
    path("jobs/<int:pk>/", accounts.job),
    path("jobs/<int:pk>/retry/", accounts.retry_job),
    # annotation
    path("next/", annotation.next_assignment),
    path("assignments/<int:pk>/", annotation.assignment),
    path("assignments/<int:pk>/comparisons/", annotation.compare),
    path("assignments/<int:pk>/undo/", annotation.undo),
    path("assignments/<int:pk>/rating/", annotation.rate),
    path("assignments/<int:pk>/alignment/", annotation.align),
    path("assignments/<int:pk>/mask/", annotation.draw),
    path("assignments/<int:pk>/heartbeat/", annotation.heartbeat),
    path("assignments/<int:pk>/release/", annotation.release),
    path("assignments/<int:pk>/skip/", annotation.skip),
    path("assignments/<int:pk>/escalate/", annotation.escalate),
    path("assignments/<int:pk>/draft/", annotation.draft),
    path("reviews/", annotation.review_list),
    path("reviews/<int:pk>/", annotation.review),
    path("progress/", annotation.progress_view),
]
urlpatterns = [
    path("api/v1/", include(api)),
    path("admin/", admin.site.urls),
    path("healthz", accounts.healthz),
]
