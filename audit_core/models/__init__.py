"""Models: the catalogue, fetching, validation of model folders, and identity."""

from audit_core.models.access import ANONYMOUS, LINK, PAGE, ModelAccess
from audit_core.models.cache import Progress, model_cache
from audit_core.models.edited import EDITED, EditedModel
from audit_core.models.fetch import fetch_model
from audit_core.models.folder import check_folder
from audit_core.models.identity import FolderDigest, ModelIdentity, digest_files, digest_folder, identify_model
from audit_core.models.imported_card import ImportedCard, read_card
from audit_core.models.known import KNOWN_MODELS, SHIPPED_MODELS, KnownModel, ShippedModel, find_known, find_shipped
from audit_core.models.preview import ModelPreview, preview_folder, preview_model, read_free_memory
from audit_core.models.resolve import ModelOrigin, find_origin, resolve_model

__all__ = [
    "ANONYMOUS",
    "EDITED",
    "KNOWN_MODELS",
    "LINK",
    "PAGE",
    "SHIPPED_MODELS",
    "EditedModel",
    "FolderDigest",
    "ImportedCard",
    "KnownModel",
    "ModelAccess",
    "ModelIdentity",
    "ModelOrigin",
    "ModelPreview",
    "Progress",
    "ShippedModel",
    "check_folder",
    "digest_files",
    "digest_folder",
    "fetch_model",
    "find_known",
    "find_origin",
    "find_shipped",
    "identify_model",
    "model_cache",
    "preview_folder",
    "preview_model",
    "read_card",
    "read_free_memory",
    "resolve_model",
]
