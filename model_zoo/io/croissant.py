"""Croissant 1.1 metadata (JSON-LD, mlcommons.org/croissant) of a data set or release: its files and its index.

A record set "rows" describes the parquet index column by column, so that any Croissant reader can walk the rows. The
same facts give the same text: no clock, no path.
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from model_zoo.io.card import MEANINGS

VERSION = "http://mlcommons.org/croissant/1.1"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {
    pa.bool_(): "sc:Boolean",
    pa.float16(): "cr:Float16",
    pa.float32(): "cr:Float32",
    pa.float64(): "cr:Float64",
    pa.int8(): "cr:Int8",
    pa.int16(): "cr:Int16",
    pa.int32(): "cr:Int32",
    pa.int64(): "cr:Int64",
    pa.uint8(): "cr:UInt8",
    pa.uint16(): "cr:UInt16",
    pa.uint32(): "cr:UInt32",
    pa.uint64(): "cr:UInt64",
}  # anything else is text
FORMATS = {"tar": "application/x-tar", "parquet": "application/x-parquet"}
KEYS = ("id", "sample_id", "pair_id")


def describe(
    manifest: Mapping[str, Any],
    schema: pa.Schema,
    *,
    name: str,
    description: str,
    licence: str,
    published: str,
    creator: str = "Maquette",
    version: str = "1.0.0",
    meanings: Mapping[str, str] = MEANINGS,
) -> dict[str, Any]:
    """The JSON-LD of a folder whose manifest lists "files" [{"name", "size", "sha256"}] below shards/ and index/.

    schema: of the index. licence: a URL or an SPDX identifier. published: a date that the content decides (the newest
    row's), not today's. Write it with `text` as croissant.json beside manifest.json.
    """
    files = [file for file in manifest["files"] if file["name"].startswith(("index/", "shards/"))]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": name,
        "description": description,
        "license": licence,
        "version": version,
        "datePublished": published,
        "creator": {"@type": "sc:Organization", "name": creator},
        "isLiveDataset": False,
        "citeAs": str(manifest.get("hash") or manifest.get("id") or name),
        "distribution": [
            *map(_file, files),
            _set("index", "The index: one row per sample.", "index/part-*.parquet"),
            _set("shards", "Tar files in WebDataset layout.", "shards/*.tar"),
        ],
        "recordSet": [_rows(schema, meanings)],
    }


def text(jsonld: Mapping[str, Any]) -> str:
    """The file's content."""
    return json.dumps(jsonld, indent=1, ensure_ascii=False) + "\n"


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file["name"],
        "name": file["name"],
        "contentUrl": file["name"],
        "contentSize": f"{file['size']} B",
        "encodingFormat": FORMATS[file["name"].rpartition(".")[2]],
        "sha256": file["sha256"],
    }


def _set(name: str, description: str, pattern: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": FORMATS[pattern.rpartition(".")[2]],
        "includes": pattern,
    }


def _rows(schema: pa.Schema, meanings: Mapping[str, str]) -> dict[str, Any]:
    keys = [{"@id": f"rows/{name}"} for name in KEYS if name in schema.names]
    return {
        "@type": "cr:RecordSet",
        "@id": "rows",
        "name": "rows",
        "description": "Rows of the index: where each sample's bytes lie, and what is known of it.",
        **({"key": keys[0]} if keys else {}),
        "field": [_field(field, meanings) for field in schema],
    }


def _field(field: pa.Field, meanings: Mapping[str, str]) -> dict[str, Any]:
    kind, array = field.type, {}
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, array = kind.value_type, {"isArray": True, "arrayShape": str(getattr(kind, "list_size", -1))}
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return {
        "@type": "cr:Field",
        "@id": f"rows/{field.name}",
        "name": field.name,
        "description": meanings.get(field.name, field.name.replace("_", " ")),
        "dataType": TYPES.get(kind, "sc:Text"),
        **array,
        "source": {"fileSet": {"@id": "index"}, "extract": {"column": field.name}},
    }
