"""croissant.json: the corpus in the Croissant 1.1 vocabulary of ML Commons, provenance in PROV-O.

Dataset catalogues and loaders (mlcroissant) read it: files with their hashes, a record set of
samples from manifest.parquet, one of images from the tars, and what all of it was derived from.
Specification: http://mlcommons.org/croissant/1.1

Nothing in it depends on time or place, so `url`, `creator` and `datePublished`, which a page on the
web needs, are the publisher's to add.
"""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import pyarrow as pa

from ..files.atomic import canonical_digest, json_bytes
from ..files.rows import rows_where
from ..plan.schema import MANIFEST
from ..shards.shard import NORMS, Marker
from .card import CorpusFacts, Counts, methods_named

CROISSANT = "croissant.json"

Node = dict[str, Any]

_TABLES = ("manifest.parquet", "plan.parquet")

# The context of the specification's first appendix, and PROV-O.
_CONTEXT: Node = {
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
    "prov": "http://www.w3.org/ns/prov#",
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

_LICENCES = {  # names as SPDX spells them
    name.lower(): name
    for name in (
        "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0",
        "CDLA-Permissive-2.0", "MIT", "ODbL-1.0", "PDDL-1.0",
    )
}  # fmt: skip

_COLUMNS = {
    "key": "000123 is real; 000123-007 is augmented: base 000123, round 7",
    "kind": "real or augmented",
    "round": "0 holds the real images; rounds 1 to k are the corpus at ratio k",
    "shard": "the tar that holds the sample, without its ending",
    "position": "place within the shard",
    "row_1": "row of parent 1, the base, in the corpus that was augmented",
    "row_2": "row of parent 2, the partner",
    "source_1": "key of parent 1; of a real image, itself",
    "source_2": "key of parent 2; of a real image, itself",
    "lambda": "weight of parent 1 in the mixture",
    "class_id": "number of the class, -1 without one class",
    "method": "real, or what made the image",
    "seed": "of the sample's own random stream",
    "offset": "of the image's bytes in the tar",
    "size": "bytes of the image file",
    "sha256": "of the image file",
    "pixel_sha256": "of its 8-bit pixels, row by row",
    "source_1_sha256": "of parent 1's file as it was read",
    "source_2_sha256": "of parent 2's file as it was read",
    "soft_label": "weight of every class, where parents' classes differ",
    "recipe_digest": "of everything else that can change a pixel",
    "norm_mixup": "mean square of sigma_N S(x, sigma_N) of the plain mixture",
    "norm_minimised": "the same after the minimisation",
    "norm_final": "the same of the image as it is",
    "license": "licences of the parents, ' AND ' between them",
    "width": "pixels",
    "height": "pixels",
}
_DERIVED = {"source_1", "source_2"}  # data-level provenance


def croissant_bytes(
    facts: CorpusFacts,
    counts: Counts,
    markers: Sequence[Marker],
    tables: Mapping[str, tuple[int, str]],
    sources_digest: str,
    plan_digest: str,
) -> bytes:
    """The whole file; equal arguments give equal bytes under one version of this package.

    tables: size and sha256 of manifest.parquet and plan.parquet.
    sources_digest: of the files that the real images were read from (see `digest_of_sources`).
    """
    document: Node = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": facts.name,
        "description": _description(facts, counts),
        "keywords": ["image", "data augmentation", "webdataset", *counts.methods],
        "distribution": [*_files(markers, tables), _images(markers)],
        "recordSet": _record_sets(facts, counts),
    }
    if facts.licences:
        document["license"] = [_licence(name) for name in facts.licences]
    return json_bytes(document | _provenance(facts, counts, sources_digest, plan_digest))


def digest_of_sources(manifest: pa.Table) -> str:
    """Digest of the source files of the real images, in key order."""
    real = rows_where(manifest.select(["key", "kind", "source_1_sha256"]), kind="real")
    columns = (real[name].to_pylist() for name in ("key", "source_1_sha256"))
    return canonical_digest(sorted(zip(*columns, strict=True)))


def _description(facts: CorpusFacts, counts: Counts) -> str:
    per = f" in {counts.ratio} rounds" if counts.of_classes else f", {counts.ratio} for each"
    made = f" and {counts.augmented} made of them{per}" if counts.ratio else ""
    of = "a mixture of two real ones; its row says of which, with which weight and seed."
    if facts.new_classes:
        of = "of a new class, which mixes classes of the real ones; its row says of which sources."
    elif counts.of_network:
        of = "a sample of a network trained on the real ones; its row says with which seed."
    elif counts.of_one_parent:
        of = "made from one real one; its row says of which, with which seed."
    return f"{counts.real} real images{made}, {facts.resolution} px. Every augmented image is {of}"


def _licence(name: str) -> str | Node:
    known = _LICENCES.get(name.lower())
    if known is None:
        return {"@type": "sc:CreativeWork", "name": name}
    return f"https://spdx.org/licenses/{known}.html"


def _files(markers: Sequence[Marker], tables: Mapping[str, tuple[int, str]]) -> list[Node]:
    tars = [
        _file(f"{marker.shard}.tar", "application/x-tar", marker.tar.size, marker.tar.sha256)
        for marker in markers
    ]
    return [_file(name, "application/x-parquet", *tables[name]) for name in _TABLES] + tars


def _file(name: str, encoding: str, size: int, sha256: str) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": encoding,
        "sha256": sha256,
    }


def _images(markers: Sequence[Marker]) -> Node:
    return {
        "@type": "cr:FileSet",
        "@id": "image-files",
        "name": "image-files",
        "description": "KEY.png of every sample.",
        "containedIn": [{"@id": f"{marker.shard}.tar"} for marker in markers],
        "encodingFormat": "image/png",
        "includes": "*.png",
    }


def _record_sets(facts: CorpusFacts, counts: Counts) -> list[Node]:
    absent = {"soft_label"} if not counts.soft else set()
    absent |= set(NORMS) if not counts.normed else set()
    samples: Node = {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "A record for each sample: its lineage, and where its image lies.",
        "key": {"@id": "samples/key"},
        "field": [_column(field) for field in MANIFEST if field.name not in absent],
    }
    images: Node = {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "The image of each sample.",
        "key": {"@id": "images/key"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": "images/key",
                "name": "key",
                "description": "Of the sample.",
                "dataType": "sc:Text",
                "references": {
                    "field": {"@id": "samples/key"}
                },  # mlcroissant reads no shorter form
                "source": {
                    "fileSet": {"@id": "image-files"},
                    "extract": {"fileProperty": "filename"},
                    "transform": {"regex": r"^([^.]+)"},
                },
            },
            {
                "@type": "cr:Field",
                "@id": "images/image",
                "name": "image",
                "description": "Its pixels.",
                "dataType": "sc:ImageObject",
                "source": {
                    "fileSet": {"@id": "image-files"},
                    "extract": {"fileProperty": "content"},
                },
            },
        ],
    }
    return [samples, images] + ([_classes(facts)] if facts.classes else [])


def _column(field: pa.Field) -> Node:
    is_list = pa.types.is_list(field.type)
    kind = field.type.value_type if is_list else field.type
    numbers = "sc:Integer" if pa.types.is_integer(kind) else "sc:Float"
    node: Node = {
        "@type": "cr:Field",
        "@id": f"samples/{field.name}",
        "name": field.name,
        "description": _COLUMNS[field.name],
        "dataType": "sc:Text" if pa.types.is_string(kind) else numbers,
        "source": {
            "fileObject": {"@id": "manifest.parquet"},
            "extract": {"column": field.name},
        },
    }
    if is_list:
        node |= {"isArray": True, "arrayShape": "-1"}
    if field.name in _DERIVED:
        node["equivalentProperty"] = "prov:wasDerivedFrom"
    return node


def _classes(facts: CorpusFacts) -> Node:
    def field(name: str, kind: str, what: str) -> Node:
        return {
            "@type": "cr:Field",
            "@id": f"classes/{name}",
            "name": name,
            "description": what,
            "dataType": kind,
        }

    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "What class_id stands for.",
        "key": {"@id": "classes/id"},
        "field": [
            field("id", "sc:Integer", "As class_id has it."),
            field("name", "sc:Text", "Of the class."),
        ],
        "data": [
            {"classes/id": number, "classes/name": name}
            for number, name in enumerate(facts.classes)
        ],
    }


def _provenance(facts: CorpusFacts, counts: Counts, sources_digest: str, plan_digest: str) -> Node:
    """What the corpus was derived from, and the activity that made it."""
    used = [_entity("plan", plan_digest, "the plan: parents, lambda and seed of every sample")]
    derived = [_entity("sources", sources_digest, "the files that the real images were read from")]
    if "corpus_digest" in facts.recipe:
        digest = str(facts.recipe["corpus_digest"])
        derived.append(_entity("corpus", digest, "the real images as they were prepared"))
    if "model_sha256" in facts.recipe:
        digest = str(facts.recipe["model_sha256"])
        used.append(_entity("score-network", digest, "weights of the score network"))
    recipe = json_bytes(dict(facts.recipe)).decode()
    return {
        "prov:wasDerivedFrom": derived,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"offline augmentation by {methods_named(facts, counts)}",
            "prov:used": used,
            "prov:value": recipe,
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"scoremix-pipeline {_version()}",
            },
        },
    }


def _entity(kind: str, digest: str, what: str) -> Node:
    return {"@id": f"urn:scoremix:{kind}:{digest}", "@type": "prov:Entity", "prov:label": what}


def _version() -> str:
    try:
        return metadata.version("scoremix-pipeline")
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return "of a checkout"
