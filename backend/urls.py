"""Every route of the product, in one place."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from backend.accounts import api as accounts
from backend.annotation import anchors, fitting, reviewing, selecting
from backend.annotation import api as annotation
from backend.annotation import desk_api as desk
from backend.art3do import api as art3do
from backend.catalog import api as catalog
from backend.catalog import arrivals, instructions
from backend.datasets import api as datasets
from backend.datasets import build_api
from backend.proposals import api as proposals
from backend.training import api as training

# Swagger's own page writes styles into its elements.
DOCS_CSP = {"style-src": [UNSAFE_INLINE]}

api = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", csp_update(DOCS_CSP)(SpectacularSwaggerSplitView.as_view(url_name="schema")), name="docs"),
    # accounts
    path("token/", accounts.token),
    path("session/", accounts.session),
    path("me/", accounts.me),
    path("jobs/<int:pk>/", accounts.job),
    path("jobs/<int:pk>/retry/", accounts.retry_job),
    # catalog
    path("batches/", catalog.batches),
    path("batches/<int:pk>/", catalog.batch),
    path("batches/<int:pk>/objects/", catalog.batch_objects),
    path("batches/<int:pk>/instructions/", instructions.instructions),
    path("imports/images/", arrivals.import_images),
    path("imports/meshes/", arrivals.import_meshes),
    path("uploads/", arrivals.begin_upload),
    path("uploads/<uuid:pk>/", arrivals.upload),
    path("uploads/<uuid:pk>/file/", arrivals.upload_file),
    path("uploads/<uuid:pk>/parts/<int:number>/", arrivals.upload_part),
    path("uploads/<uuid:pk>/finalise/", arrivals.finalise_upload),
    path("images/<int:pk>/photo/", catalog.photo),
    path("objects/<int:pk>/mask.png", catalog.mask),
    path("objects/<int:pk>/points.bin", catalog.points),
    # proposals
    path("batches/<int:pk>/propose/", proposals.propose),
    path("candidates/<uuid:key>/model.glb", proposals.model),
    path("candidates/<uuid:key>/thumbnail.png", proposals.thumbnail),
    path("candidates/<uuid:key>/turntable.png", proposals.turntable),
    # annotation
    path("next/", annotation.next_assignment),
    path("assignments/<int:pk>/", annotation.assignment),
    path("assignments/<int:pk>/comparisons/", annotation.compare),
    path("assignments/<int:pk>/undo/", annotation.undo),
    path("assignments/<int:pk>/rating/", annotation.rate),
    path("assignments/<int:pk>/alignment/", annotation.align),
    path("assignments/<int:pk>/mask/", annotation.draw),
    path("assignments/<int:pk>/segment/", selecting.segment),
    path("assignments/<int:pk>/confirm/", selecting.confirm_mask),
    path("assignments/<int:pk>/reject/", selecting.reject_mask),
    path("batches/<int:pk>/taxonomy/", selecting.taxonomy),
    path("assignments/<int:pk>/heartbeat/", annotation.heartbeat),
    path("assignments/<int:pk>/release/", annotation.release),
    path("assignments/<int:pk>/skip/", annotation.skip),
    path("assignments/<int:pk>/escalate/", annotation.escalate),
    path("assignments/<int:pk>/draft/", annotation.draft),
    path("batches/<int:pk>/anchors/", anchors.anchors),
    path("anchors/<int:pk>/", anchors.anchor),
    path("assignments/<int:pk>/postpone/", desk.postpone),
    path("assignments/<int:pk>/resume/", desk.resume),
    path("work/", desk.work),
    path("objects/<int:pk>/problems/", desk.report_problem),
    path("batches/<int:pk>/problems/", desk.batch_problems),
    path("problems/<int:pk>/settle/", desk.settle_problem),
    path("practice/", desk.practice_list),
    path("practice/<int:pk>/", desk.practice_answer),
    path("assignments/<int:pk>/fit/", fitting.fit),
    path("reviews/", reviewing.review_list),
    path("reviews/<int:pk>/", reviewing.review),
    path("progress/", annotation.progress_view),
    # art3do
    path("batches/<int:pk>/curate/", art3do.curate),
    path("art/tasks/", art3do.tasks),
    path("assignments/<int:pk>/case/", art3do.case),
    path("assignments/<int:pk>/submission/", art3do.submit),
    path("submissions/", art3do.submissions),
    path("submissions/<int:pk>/", art3do.submission),
    path("submissions/<int:pk>/model.glb", art3do.model),
    path("submissions/<int:pk>/pictures/<int:number>.png", art3do.picture),
    path("submissions/<int:pk>/repair/", art3do.repair),
    path("submissions/<int:pk>/pins/", art3do.pins),
    path("submissions/<int:pk>/verdict/", art3do.verdict),
    path("objects/<int:pk>/starter.zip", art3do.starter),
    # datasets
    path("releases/", datasets.releases),
    path("releases/<int:pk>/", datasets.release),
    path("releases/<int:pk>/files/", datasets.files),
    path("releases/<int:pk>/files/<path:name>", datasets.download),
    path("releases/<int:pk>/compare/<int:other>/", datasets.compare),
    path("releases/<int:pk>/verify/", datasets.verify),
    path("builds/", build_api.builds),
    path("builds/<int:pk>/", build_api.build),
    path("images/<int:pk>/remove/", datasets.remove_image),
    # training
    path("checkpoints/", training.checkpoints),
    path("checkpoints/demote/", training.demote),
    path("checkpoints/<int:pk>/", training.checkpoint),
    path("checkpoints/<int:pk>/promote/", training.promote),
    path("runs/", training.runs),
    path("runs/<int:pk>/", training.run),
    path("evaluations/", training.evaluations),
]
urlpatterns = [
    path("api/v1/", include(api)),
    path("admin/", admin.site.urls),
    path("healthz", accounts.healthz),
    path("", include("annotator_ui.urls")),
]
handler403 = "annotator_ui.views.refused"
