"""A prompt that points at nothing in the photo is refused with the reason."""

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.segment.interface import Prompt, check_prompt


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (Prompt(), "click on the object"),
        (Prompt(negative=((5.0, 5.0),)), "click on the object"),
        (Prompt(positive=((64.0, 5.0),)), "outside the photo"),
        (Prompt(positive=((5.0, 5.0),), negative=((5.0, -1.0),)), "outside the photo"),
        (Prompt(positive=((float("nan"), 5.0),)), "outside the photo"),
        (Prompt(box=(10.0, 10.0, 10.0, 20.0)), "box is empty"),
        (Prompt(box=(70.0, 10.0, 90.0, 20.0)), "box is empty or lies outside"),
        (Prompt(box=(float("nan"), 10.0, 90.0, 20.0)), "box is empty"),
        (Prompt(positive=((5.0, 5.0),), previous=np.zeros((64, 48), bool)), "another size"),
    ],
)
def test_an_unfit_prompt_is_refused(prompt, reason):
    with pytest.raises(BadInput, match=reason):
        check_prompt(prompt, (64, 48))


def test_a_box_that_reaches_beyond_the_photo_is_taken():
    check_prompt(Prompt(box=(-5.0, -5.0, 70.0, 60.0)), (64, 48))
