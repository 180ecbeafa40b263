"""The OpenAPI file, from the table of endpoints."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from audit_core.api.endpoint import JSON, ZIP, Download, Endpoint
from audit_core.api.endpoints import ENDPOINTS
from audit_core.api.errors import ErrorDocument

OPENAPI, API_VERSION = "3.1.0", "1.0.0"
"""Version of the format, and of the API: its first number is in the address, and changes where a client would break."""
_FAULTS = {
    400: "the request cannot be read", 401: "no valid token", 403: "the token's roles or areas do not allow it; logged",
    404: "no such object", 408: "the body took too long", 413: "the body is too large", 415: "another type of body",
    422: "refused by the product's rules", 429: "too many requests", 500: "the server failed", 503: "the store is in use",
}  # fmt: skip
_REF = "#/components/schemas/{model}"


def describe_api() -> dict[str, Any]:
    """The whole file as JSON values; equal for equal code."""
    shapes = {shape for one in ENDPOINTS for shape in (one.asks, one.returns) if shape not in (None, Download)}
    wanted = [*sorted(shapes, key=lambda shape: str(shape.__name__)), ErrorDocument]
    inputs = {one.asks for one in ENDPOINTS}
    given = [(shape, "validation" if shape in inputs else "serialization", TypeAdapter(shape)) for shape in wanted]
    _, schemas = TypeAdapter.json_schemas(given, ref_template=_REF)  # type: ignore[arg-type]
    paths: dict[str, Any] = {}
    for one in ENDPOINTS:
        paths.setdefault(one.path, {})[one.method.lower()] = _describe(one)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Assay", "version": API_VERSION,
            "description": "Runs, claims, packs, verification, the gate and jobs. Every request needs a token.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "`api token create` makes one."}},
            "schemas": dict(sorted(schemas["$defs"].items())),
        },
    }  # fmt: skip


def _describe(one: Endpoint) -> dict[str, Any]:
    roles = f"Area `{one.area.value}`, permission `{one.permission.value}`."
    found: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "description": roles,
        "tags": [one.area.value],
    }
    names = re.findall(r"\{(\w+)\}", one.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    for query in one.query:
        shape: dict[str, Any] = {"type": "string"}
        if query.lowest is not None:
            shape = {
                "type": "integer",
                "minimum": query.lowest,
                "maximum": query.highest,
                "default": int(query.default),
            }
        parameters.append({"name": query.name, "in": "query", "description": query.text, "schema": shape})
    if parameters:
        found["parameters"] = parameters
    if one.uploads:
        parts = {
            part.name: {"type": "string", "contentMediaType": "application/octet-stream", "description": f"{part.text}; at most {part.most_bytes:,} bytes"}
            for part in one.uploads
        }  # fmt: skip
        needed = [part.name for part in one.uploads if part.is_required]
        form = {"type": "object", "properties": parts, "required": needed, "additionalProperties": False}
        found["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    elif one.asks is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": _refer(one.asks)}}}
    content = {ZIP: {}} if one.returns is Download else {JSON: {"schema": _refer(one.returns)}}
    fault = {JSON: {"schema": _refer(ErrorDocument)}}
    found["responses"] = {str(one.status): {"description": one.summary, "content": content}} | {
        str(status): {"description": text, "content": fault} for status, text in _FAULTS.items()
    }
    return found


def _refer(shape: Any) -> dict[str, str]:
    return {"$ref": _REF.format(model=shape.__name__)}
