"""Architectures that TransformerLens can run but does not list under the name that `transformers` gives them."""

from __future__ import annotations

from typing import Any


def register_adapters() -> None:
    """Offer TransformerLens adapters for Phi-MoE and for Granite mixtures with a shared MLP.

    Without them a folder of either kind is refused as an unknown architecture. `check_parity` compares what the bridge
    computes with the model itself, as for every other architecture.
    """
    from transformer_lens.factories import architecture_adapter_factory as factory

    known = factory.SUPPORTED_ARCHITECTURES
    added = {
        # TransformerLens knows the class of the model's own former code only.
        "PhimoeForCausalLM": known["PhiMoEForCausalLM"],
        "GraniteMoeSharedForCausalLM": _without_mlp_output(known["GraniteMoeForCausalLM"]),
    }
    for name, adapter in added.items():
        if name not in known:
            # One table determines the architecture, a copy of it selects the adapter.
            known[name] = adapter
            factory.ArchitectureAdapterFactory.register_adapter(name, adapter)


def _without_mlp_output(adapter: Any) -> Any:
    """The same adapter without the hook of the MLP's output.

    The layer adds routed experts and shared MLP itself, so that a hook on the mixture would see a part of the output only.
    """
    from transformer_lens.model_bridge.generalized_components import ScaledResidualBlockBridge

    class WithoutMlpOutput(adapter):
        def _build_component_mapping(self) -> dict[str, Any]:
            mapping: dict[str, Any] = super()._build_component_mapping()
            blocks = mapping["blocks"]
            mapping["blocks"] = ScaledResidualBlockBridge(
                name=blocks.name,
                submodules=blocks.submodules,
                residual_contribution_scale=blocks.residual_contribution_scale,
                scaled_mlp_submodule=None,
            )
            return mapping

    return WithoutMlpOutput
