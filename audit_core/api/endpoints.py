"""The table of endpoints: routes, permissions and the OpenAPI file are made from it, and from nothing else."""

from __future__ import annotations

from audit_core.api.asked import AuditAsked, ClaimAsked, PackAsked
from audit_core.api.claims import ClaimDocument, ClaimList, list_claims, read_claim, require_claim
from audit_core.api.endpoint import Call, Download, Endpoint, Query, Upload
from audit_core.api.jobs import attempt, cancel_job, freeze, read_job, start_audit
from audit_core.api.packs import (
    Gated,
    PackList,
    PackWritten,
    VerifyResult,
    download_pack,
    gate,
    list_packs,
    verify,
    write_pack,
)
from audit_core.api.runs import MOST_LISTED, RunDocument, RunList, list_runs, read_run
from audit_core.api.workbench import JobDocument
from audit_core.governance.api_token import ApiArea
from audit_core.governance.people import Permission
from audit_core.governance.policy import MAX_FILE_BYTES as MAX_POLICY_BYTES
from audit_core.verifier.container import MAX_PACK_BYTES
from audit_core.verifier.trust import MAX_TRUST_BYTES

_PACK = Upload("pack", "an evidence pack", MAX_PACK_BYTES, is_required=True)
_TRUST = Upload("trust", "trusted keys in TOML; without it, the server's `trust.toml`", MAX_TRUST_BYTES)
_POLICY = Upload("policy", "your policy in TOML, not the pack's", MAX_POLICY_BYTES)


def _attempt(call: Call) -> JobDocument:
    require_claim(call)
    return attempt(call)


ENDPOINTS = (
    Endpoint(
        method="GET", path="/runs", name="listRuns", summary="The newest runs of the run log, without results", area=ApiArea.RUNS,
        permission=Permission.LOOK, handle=list_runs, returns=RunList,
        query=(Query("limit", "how many", "50", 1, MOST_LISTED),),
    ),
    Endpoint(
        method="GET", path="/runs/{run_id}", name="readRun", area=ApiArea.RUNS, permission=Permission.LOOK, handle=read_run,
        summary="One run with request and result: the token's own, or any with the permission export_log", returns=RunDocument,
    ),
    Endpoint(
        method="GET", path="/claims", name="listClaims", summary="The claims register", area=ApiArea.CLAIMS,
        permission=Permission.LOOK, handle=list_claims, returns=ClaimList,
    ),
    Endpoint(
        method="POST", path="/claims", name="freezeClaim", summary="Freeze a claim with model, prompts, policy and code, as a job",
        area=ApiArea.CLAIMS, permission=Permission.FREEZE, handle=freeze, returns=JobDocument, status=202, asks=ClaimAsked,
    ),
    Endpoint(
        method="GET", path="/claims/{claim_id}", name="readClaim", summary="One claim with its plans, attempts and last verdict",
        area=ApiArea.CLAIMS, permission=Permission.LOOK, handle=read_claim, returns=ClaimDocument,
    ),
    Endpoint(
        method="POST", path="/claims/{claim_id}/attempts", name="attemptClaim", area=ApiArea.CLAIMS, permission=Permission.ATTEMPT,
        summary="Run the next confirmatory attempt at a frozen claim, as a job", handle=_attempt, returns=JobDocument, status=202,
    ),
    Endpoint(
        method="GET", path="/packs", name="listPacks", summary="Packs that this API wrote", area=ApiArea.PACKS,
        permission=Permission.LOOK, handle=list_packs, returns=PackList,
    ),
    Endpoint(
        method="POST", path="/packs", name="writePack", summary="Write a pack, signed by the key that the token names",
        area=ApiArea.PACKS, permission=Permission.EXPORT_PACK, handle=write_pack, returns=PackWritten, status=201, asks=PackAsked,
    ),
    Endpoint(
        method="GET", path="/packs/{root_digest}", name="downloadPack", summary="The bytes of a pack that this API wrote",
        area=ApiArea.PACKS, permission=Permission.EXPORT_PACK, handle=download_pack, returns=Download,
    ),
    Endpoint(
        method="POST", path="/verify", name="verifyPack", summary="Verify a pack; nothing is stored", area=ApiArea.VERIFY,
        permission=Permission.LOOK, handle=verify, returns=VerifyResult, uploads=(_PACK, _TRUST),
    ),
    Endpoint(
        method="POST", path="/gate", name="gatePack", summary="Evaluate a pack against a policy; the decision is logged",
        area=ApiArea.GATE, permission=Permission.LOOK, handle=gate, returns=Gated, uploads=(_PACK, _TRUST, _POLICY),
        query=(Query("policy", "id of a shipped policy, in place of the part `policy`"),),
    ),
    Endpoint(
        method="POST", path="/jobs", name="startAudit", summary="Start an audit as a job", area=ApiArea.JOBS,
        permission=Permission.RUN, handle=start_audit, returns=JobDocument, status=202, asks=AuditAsked,
    ),
    Endpoint(
        method="GET", path="/jobs/{job_id}", name="readJob", summary="State of a job of this token", area=ApiArea.JOBS,
        permission=Permission.LOOK, handle=read_job, returns=JobDocument,
    ),
    Endpoint(
        method="DELETE", path="/jobs/{job_id}", name="cancelJob", summary="Cancel a job of this token", area=ApiArea.JOBS,
        permission=Permission.LOOK, handle=cancel_job, returns=JobDocument, status=202,
    ),
)  # fmt: skip
