"""Putting one adapter at a time on base weights, without loading the base again."""

from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer


class AdapterSwitch:
    """Switches a PEFT model between its adapters and the bare base.

    Computing an adapter beside the base costs about 40 % more for a long prompt. Where weights are float32,
    all adapters are plain LoRA and there is memory for a second copy of the adapted weights, the adapter is
    added into the weights instead. The copy is what restores the base: exactly, not by subtracting what was
    added.
    """

    def __init__(self, model: PeftModel, *, may_copy: bool) -> None:
        self._model = model
        self._may_copy = may_copy
        self._originals: dict[Any, torch.Tensor] = {}
        self._merged: str | None = None

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self._originals.values())

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def use(self, adapter: str | None) -> None:
        """Answer with this adapter from now on; None is the base."""
        layers = [module for module in self._model.modules() if isinstance(module, BaseTunerLayer)]
        if adapter is not None and not self._is_mergeable(adapter, layers):
            self._restore()
            self._model.base_model.enable_adapter_layers()
            self._model.set_adapter(adapter)
            self._model.eval()
            return
        self._model.base_model.disable_adapter_layers()
        if adapter == self._merged:
            return
        self._restore()
        if adapter is not None:
            self._merge(layers, adapter)

    def forget(self, adapter: str) -> None:
        """Take an adapter out for good."""
        if self._merged == adapter:
            self.use(None)
        self._model.delete_adapter(adapter)

    def _is_mergeable(self, adapter: str, layers: list[Any]) -> bool:
        config = self._model.peft_config[adapter]
        # Adapters may also carry whole modules or single tokens, which adding to weights would leave out.
        whole = config.modules_to_save or config.trainable_token_indices or config.bias != "none"
        return self._may_copy and not whole and all(_is_plain(layer) for layer in layers)

    def _merge(self, layers: list[Any], adapter: str) -> None:
        for layer in layers:
            if adapter not in layer.lora_A:
                continue
            weight = layer.get_base_layer().weight
            if layer not in self._originals:
                self._originals[layer] = weight.detach().clone()
            weight.data.add_(layer.get_delta_weight(adapter))
        self._merged = adapter

    def _restore(self) -> None:
        if self._merged is not None:
            for layer, original in self._originals.items():
                layer.get_base_layer().weight.data.copy_(original)
        self._merged = None


def _is_plain(layer: Any) -> bool:
    weight = layer.get_base_layer().weight
    return (
        isinstance(layer, LoraLinear)
        and weight.dtype == torch.float32
        and not layer.lora_variant
        and not any(layer.lora_bias.values())
    )
