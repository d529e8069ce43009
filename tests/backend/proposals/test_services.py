"""Candidates are shared out, asked for once, and stored once."""

from types import SimpleNamespace
from typing import Any

import pytest

from backend import jobs
from backend.annotation.intake import enqueue
from backend.models import Job
from backend.proposals import services
from backend.proposals.models import Candidate, Proposer
from tests.backend.proposals.conftest import POSE, make_mesh, make_object

pytestmark = pytest.mark.django_db


def store(job: Job, seed: int, **more: Any) -> Candidate:
    return services.store_candidate(
        job,
        seed=seed,
        mesh=make_mesh(),
        viewer=b"viewer",
        thumbnail=b"png",
        pose=POSE,
        pointmap_source="fallback",
        score=0.5,
        seconds=1.0,
        **more,
    )


@pytest.mark.parametrize(
    ("parts", "wanted", "counts"),
    [
        ([1, 3, 4], 8, [1, 3, 4]),
        ([1, 1], 3, [2, 1]),
        ([100, 1], 2, [1, 1]),
        ([0, 0], 4, [2, 2]),
        ([0, 5], 4, [1, 3]),
    ],
)
def test_candidates_are_shared_out_to_at_least_two(parts: list[int], wanted: int, counts: list[int]) -> None:
    rows = [Proposer(pk=number, share=share) for number, share in enumerate(parts)]
    assert list(dict(sorted(services.shares(rows, wanted).items())).values()) == counts


def test_one_proposer_alone_cannot_propose(stage: SimpleNamespace) -> None:
    Proposer.objects.exclude(name="flow").update(active=False)
    with pytest.raises(services.NoProposers):
        services.propose(stage.batch)


def test_every_object_gets_a_job_per_proposer(stage: SimpleNamespace) -> None:
    assert services.propose(stage.batch) == 3
    made = {(job.args["proposer"], job.args["count"]) for job in Job.objects.all()}
    assert made == {(stage.sketch.pk, 1), (stage.flow.pk, 3), (stage.library.pk, 4)}


def test_a_proposer_that_was_added_is_off_until_it_is_switched_on(stage: SimpleNamespace) -> None:
    row = services.add("trellis", Proposer.Kind.COMMAND)
    assert services.propose(stage.batch) == 3
    assert not Job.objects.filter(args__proposer=row.pk).exists()
    with pytest.raises(jobs.UserError, match="there is a proposer named trellis already"):
        services.add("trellis", Proposer.Kind.COMMAND)


def test_retrieval_comes_last_to_fill_up(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    assert Job.objects.order_by("-id").first().args["proposer"] == stage.library.pk


def test_asking_twice_sends_nothing_twice(stage: SimpleNamespace) -> None:
    assert (services.propose(stage.batch), services.propose(stage.batch)) == (3, 0)


def test_an_object_without_a_mask_is_not_proposed_for(stage: SimpleNamespace) -> None:
    image = make_object(7).image
    bare = type(stage.target).objects.create(image=image)
    enqueue(stage.batch, [bare])
    services.propose(stage.batch)
    assert not Job.objects.filter(group__endswith=f":{bare.pk}").exists()


def test_what_is_missing_is_asked_for_with_new_seeds(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    for seed, job in enumerate(Job.objects.all()):
        store(job, seed)
    Job.objects.update(state="failed")
    services.propose(stage.batch)
    again = Job.objects.filter(state="queued")
    assert sum(job.args["count"] for job in again) == 5
    assert {job.args["seed"] for job in again} == {services.SEEDS_PER_ROUND}


def test_many_objects_cost_as_many_statements_as_one(
    stage: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    enqueue(stage.batch, [make_object(number) for number in range(1, 30)])
    with django_assert_max_num_queries(12):
        assert services.propose(stage.batch) == 90


def test_a_job_adds_its_share_while_others_are_under_way(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    job = Job.objects.get(args__proposer=stage.flow.pk)
    store(job, 0)
    assert services.missing_for(job) == 2


def test_the_last_job_fills_up_what_is_missing(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    job = Job.objects.get(args__proposer=stage.library.pk)
    Job.objects.exclude(pk=job.pk).update(state="failed")
    store(job, 0)
    assert services.missing_for(job) == 7


def test_the_same_seed_is_one_candidate(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    job = Job.objects.first()
    assert store(job, 5).pk == store(job, 5).pk


def test_a_withdrawn_candidate_is_kept_but_does_not_count(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    job = Job.objects.get(args__proposer=stage.flow.pk)
    row = store(job, 0)
    Candidate.objects.filter(pk=row.pk).update(state="withdrawn")
    assert services.missing_for(job) == 3


def test_an_object_short_of_candidates_is_named_with_the_error(stage: SimpleNamespace) -> None:
    services.propose(stage.batch)
    Job.objects.update(state="failed", error="no memory\ntrace")
    assert services.shortfall(stage.batch) == [(stage.target, 0, "no memory")]
