"""Let ultralytics run where torchvision cannot be imported.

ultralytics asks torchvision for one function at prediction time, `torchvision.ops.nms`. Some CPU
builds of torch come without a torchvision that fits. Call `ensure_torchvision()` once before the
first prediction: it does nothing where the real package works, else it registers a module of that
name with ultralytics' own pure-torch NMS.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import types

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")


def ensure_torchvision() -> bool:
    """Make `import torchvision; torchvision.ops.nms` work. True where the real package does.

    Raises ImportError where ultralytics itself is not installed.
    """
    try:
        importlib.import_module("torchvision.ops")
        return True
    except Exception:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    from ultralytics.utils.nms import TorchNMS

    package, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
    for module in (package, ops):
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, loader=None)
    ops.nms = TorchNMS.nms  # type: ignore[attr-defined]
    package.ops = ops  # type: ignore[attr-defined]
    package.__version__ = "0.0"  # type: ignore[attr-defined]
    sys.modules["torchvision"], sys.modules["torchvision.ops"] = package, ops
    return False
