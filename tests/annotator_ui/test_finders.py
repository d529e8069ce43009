"""Static files of the three package."""

from annotator_ui.finders import PREFIX, StaticFinder


def test_it_collects_what_the_entries_import_and_nothing_else() -> None:
    found = {f"{storage.prefix}/{path}" for path, storage in StaticFinder().list([]) if storage.prefix}
    three = {name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)}
    assert {"build/three.module.js", "build/three.core.js", "addons/utils/SkeletonUtils.js"} <= three
    assert "addons/loaders/NRRDLoader.js" not in three
    assert len(three) < 20
