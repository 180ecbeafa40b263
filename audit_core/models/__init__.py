"""Models: which are known, how they reach this machine, and which folders may be loaded."""

from audit_core.models.cache import Progress, model_cache
from audit_core.models.fetch import fetch_model
from audit_core.models.folder import check_folder
from audit_core.models.identity import FolderDigest, ModelIdentity, digest_files, digest_folder, identify_model
from audit_core.models.known import KNOWN_MODELS, KnownModel, find_known
from audit_core.models.resolve import resolve_model

__all__ = [
    "KNOWN_MODELS",
    "FolderDigest",
    "KnownModel",
    "ModelIdentity",
    "Progress",
    "check_folder",
    "digest_files",
    "digest_folder",
    "fetch_model",
    "find_known",
    "identify_model",
    "model_cache",
    "resolve_model",
]
