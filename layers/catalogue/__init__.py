"""Every layer of the map, one module a subject. A new layer is a Layer in a tuple `LAYERS` of a module named here."""

from layers.catalogue import coverage, duty, ground, risk, watch
from layers.declaration import Layer

_SUBJECTS = (
    ground,
    risk,
    coverage,
    duty,
    watch,
)

DECLARED: dict[str, Layer] = {
    one.id: one
    for one in sorted((one for subject in _SUBJECTS for one in subject.LAYERS), key=lambda one: one.order)
}
