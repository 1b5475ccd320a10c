"""The model and the tokenizer in a GGUF file, as transformers reads them, free of what marks them as quantized.

What ``from_pretrained(…, gguf_file=…)`` returns computes in full precision and calls itself quantized: it can neither
be saved nor quantized again. The same weights in a model of the same configuration without that mark can.
"""

from __future__ import annotations

import copy
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from collapse_audit.lineages.training import guards


def open_gguf(file: Path) -> tuple[Any, Any]:
    """``(model, tokenizer)``, the weights in 32 bits. Raises whatever transformers and gguf raise, and TrainingError
    where the file lacks weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with redirect_stderr(StringIO()):  # a progress bar that transformers does not let be switched off
        read, info = AutoModelForCausalLM.from_pretrained(
            str(file.parent), gguf_file=file.name, dtype=torch.float32, output_loading_info=True
        )
    guards.refuse_random_weights(info, str(file))
    config = copy.deepcopy(read.config)
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict(), strict=True)
    return model, AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
