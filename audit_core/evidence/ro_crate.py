"""RO-Crate metadata of a pack (Process Run Crate profile): who made what, when, with what and from what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.report.pack_view import Documents, PackView, Run, as_table
from audit_core.evidence.ro_crate_actions import COMPLETED, FAILED, add_log_actions, describe_agent, find_actor

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PROCESS_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
RUN_CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MEDIA = {
    ".json": "application/json", ".jsonl": "application/jsonl", ".txt": "text/plain", ".md": "text/markdown", ".html": "text/html",
    ".pdf": "application/pdf", ".parquet": "application/vnd.apache.parquet", ".toml": "application/toml", ".xml": "application/xml",
}  # fmt: skip


def dump_crate(documents: Documents, *, paths: Iterable[str] = ()) -> bytes:
    """Return the crate's metadata as canonical JSON, deterministic and without network access.

    Args:
        documents: path in the pack → parsed JSON.
        paths: members of the pack that are not JSON documents.

    Raises:
        Refused: `pack.json` is missing.
    """
    from rocrate.rocrate import ROCrate

    pack = PackView(documents)
    if not pack.header:
        raise Refused(
            "Documents without pack.json.", wanted="the documents of one pack.", remedy="add the header of the pack."
        )
    crate = ROCrate()
    _describe_root(crate, pack)
    for path in sorted({*documents, *paths}):
        _add_file(crate, path)
    instrument = _add_instrument(crate, as_table(pack.header.get("producer")))
    actions = [_add_action(crate, pack, run, instrument) for run in pack.runs]
    actions += add_log_actions(crate, pack, instrument)
    if actions:
        crate.root_dataset["mentions"] = actions
    found: dict[str, Any] = crate.metadata.generate()
    found["@graph"] = sorted(found["@graph"], key=lambda entity: str(entity["@id"]))
    return dump_canonical(found)


def _describe_root(crate: ROCrate, pack: PackView) -> None:
    from rocrate.model.contextentity import ContextEntity

    header = pack.header
    crate.metadata.extra_contexts.append(RUN_CONTEXT)
    root = crate.root_dataset
    made = header.get("created_at")
    # The library's default is the current time, which would make two crates of one pack differ.
    root["datePublished"] = made if isinstance(made, str) and _DATE.fullmatch(made) else "1980-01-01"
    root["name"] = f"Evidence pack: {header.get('system_name', 'unnamed system')}"
    root["description"] = (
        "Findings of stated tests on a stated model. Factual findings, not an assurance conclusion. Limitations: "
        + " ".join(str(item) for item in header.get("limitations") or ["none recorded."])
    )
    root["identifier"] = str(header.get("pack_id", ""))
    root["license"] = "No licence is stated: ask the organisation that made the pack."
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    root["conformsTo"] = crate.add(ContextEntity(crate, PROCESS_PROFILE, properties=profile))
    if header.get("organisation"):
        publisher = {"@type": "Organization", "name": str(header["organisation"])}
        root["publisher"] = crate.add(ContextEntity(crate, "#organisation", properties=publisher))


def _add_file(crate: ROCrate, path: str) -> None:
    suffix = "." + path.rsplit(".", 1)[-1] if "." in path else ""
    properties = {"name": path, "encodingFormat": _MEDIA.get(suffix, "application/octet-stream")}
    crate.add_file(None, dest_path=path, properties=properties)


def _add_instrument(crate: ROCrate, producer: Mapping[str, Any]) -> Any:
    from rocrate.model.contextentity import ContextEntity

    properties = {
        "@type": "SoftwareApplication",
        "name": str(producer.get("name", "assay")),
        "softwareVersion": str(producer.get("version", "")),
    }
    return crate.add(ContextEntity(crate, "#instrument", properties=properties))  # fmt: skip


def _add_action(crate: ROCrate, pack: PackView, run: Run, instrument: Any) -> Any:
    sha256 = as_table(run.manifest.get("prompts")).get("prompt_set_sha256")
    sets = [path for path in sorted(pack.documents) if path.startswith("prompts/") and path.endswith("/set.json")]
    own = [path for path in sets if pack.table(path).get("sha256") == sha256]
    inputs = [path for path in (*own, "prereg/prereg.json", *_model_files(pack)) if path in pack.documents]
    outputs = [path for path in sorted(pack.documents) if path.startswith(f"runs/{run.run_id}/")]
    properties: dict[str, Any] = {
        "@type": "CreateAction",
        "name": f"Run {run.run_id} of {', '.join(run.claim_ids)}",
        "description": f"Attempt {run.identity.get('attempt_no', 'without number')} under the plan {str(run.identity.get('prereg_digest'))[:64]}.",
        "actionStatus": {"@id": COMPLETED if run.identity.get("status") == "done" else FAILED},
    }
    properties |= {
        key: run.identity[field]
        for field, key in (("started_at", "startTime"), ("ended_at", "endTime"))
        if run.identity.get(field)
    }
    properties |= describe_agent(crate, find_actor(pack, "run.started", run.run_id))
    return crate.add_action(
        instrument,
        identifier=f"#run-{run.run_id}",
        object=[crate.get(path) for path in inputs],
        result=[crate.get(path) for path in outputs],
        properties=properties,
    )  # fmt: skip


def _model_files(pack: PackView) -> list[str]:
    return [f"models/{model_id}/identity.json" for model_id, _ in pack.models()]
