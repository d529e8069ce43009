"""The demo photographs: real files of our dependencies, each with masks, licence and attribution."""

from model_zoo.demo import photographs


def test_every_photograph_has_masks_of_its_size_and_terms():
    photos = photographs()
    assert {"coffee", "cat", "rocket", "temple"} <= {photo.name for photo in photos}
    for photo in photos:
        assert photo.licence and photo.attribution and photo.rgb.std() > 10
        for mask in photo.masks.values():
            assert mask.shape == photo.rgb.shape[:2] and 0.01 < mask.mean() < 0.8


def test_masks_of_one_photograph_do_not_overlap():
    for photo in photographs():
        assert sum(mask.astype(int) for mask in photo.masks.values()).max() == 1


def test_the_cup_mask_holds_the_cup_and_not_the_table():
    coffee = next(photo for photo in photographs() if photo.name == "coffee")
    cup = coffee.masks["cup"]
    assert cup[150, 280] and not cup[10, 10] and not cup[380, 280]
