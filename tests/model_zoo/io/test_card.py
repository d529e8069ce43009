"""The card of a data set: counted in batches, told in plain Markdown, the same for the same facts."""

import pyarrow as pa

from model_zoo.io import card

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("r", pa.float64()),
        ("licence", pa.string()),
        ("length", pa.int64()),
    ]
)


def table(count: int = 30) -> pa.Table:
    rows = [
        {"id": f"k{n}", "split": ("train", "validation", None)[n % 3], "r": None if n % 5 == 0 else n / 29,
         "licence": "CC0 | odd" if n % 2 else "", "length": 1000 * n}
        for n in range(count)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_counting_in_batches_gives_the_figures_of_the_whole() -> None:
    whole, parts = card.statistics([table()]), card.statistics(table().to_batches(max_chunksize=7))
    assert whole == parts and whole["rows"] == 30
    assert whole["counts"]["split"] == {"train": 10, "unknown": 10, "validation": 10}
    r = whole["histograms"]["r"]
    assert sum(r["counts"]) == 24 and r["unknown"] == 6 and r["counts"][-1] == 3


def test_a_value_on_the_last_edge_or_beyond_it_is_counted() -> None:
    found = card.statistics([pa.table({"r": [0.0, 1.0, 1.5], "triangles": [0, 10**6, 10**8]})])["histograms"]
    assert found["r"]["counts"] == [1, 0, 0, 0, 0, 2] and sum(found["triangles"]["counts"]) == 3


def test_the_card_says_all_and_is_the_same_for_the_same_facts() -> None:
    def text() -> str:
        return card.render(
            "Iso-3DO", "Rendered views of meshes.", {"rows": 30}, SCHEMA, stats=card.statistics([table()]),
            pictures={"pictures/000.jpg": "a sheet of 100 samples"}, refused={"flat_normals": 2, "tiny": 5},
            notes=["Every picture is rendered."],
        )  # fmt: skip

    first = text()
    assert first == text()
    for said in ("![a sheet of 100 samples](pictures/000.jpg)", "| tiny | 5 |", "CC0 \\| odd", "Every picture is rendered",
                 "load_dataset", "webdataset", "tarfile", "DataSet(", "| length | int64 |"):  # fmt: skip
        assert said in first
    assert first.index("| tiny | 5 |") < first.index("| flat_normals | 2 |")


def test_a_name_with_lines_and_tags_stays_one_line_of_text() -> None:
    text = card.render("a\n# b", "About.", {"batches": "x\n## y <script>alert(1)</script>"}, SCHEMA)
    assert text.startswith("# a # b\n") and "- batches: x ## y &lt;script>alert(1)&lt;/script>\n" in text
