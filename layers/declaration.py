"""What a layer of the map declares about itself: the types of layers/catalogue, without a layer in them.

Geometry is EPSG:3857 inside tiles (extent 4096) and EPSG:4326 in GeoJSON. Colours are CSS hex; every class that means
"not known" or "a gap" is hatched, so that it never looks like a calm colour, and risk carries numerals as a second cue.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from geoapp.access.caller import ROLES

Hatch = Literal["", "/", "\\", "x", "-", "|"]
Group = Literal["ground", "risk", "coverage", "duty", "watch"]
GROUPS: dict[Group, tuple[str, str]] = {
    "risk": ("风险", "Risk"),
    "coverage": ("盲区与摄像机", "Coverage"),
    "duty": ("责任", "Duty"),
    "watch": ("值守", "Watch"),
    "ground": ("底图与区划", "Ground"),
}


@dataclass(frozen=True, slots=True)
class LegendClass:
    """One class of a legend: `id` is the value in the data, `numeral` a cue for those who cannot tell the colours."""

    id: str
    colour: str
    name_zh: str
    name_en: str
    numeral: str = ""
    hatch: Hatch = ""


@dataclass(frozen=True, slots=True)
class Classing:
    """One way to class the features of a layer.

    id: its name in addresses (`?classing=`). field: the property that holds a class' id. empty: the class of a feature
    whose property is empty or named by no class, always one that says so. from_zoom: below it the property is not in tiles. ramp: its classes but the hatched ones are
    steps of one quantity; on a dark screen their colours run the other way.
    """

    id: str
    name_zh: str
    name_en: str
    field: str
    classes: tuple[LegendClass, ...]
    empty: str = ""
    from_zoom: int = 0
    ramp: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """How features are painted; the colour is the class'. Lengths in CSS pixels. symbol: a name of assets/20_symbols.js. bins: squares
    of a tile, each as dark as its number `n` says by a scale of the window and zoom (`scale` of the layer's TileJSON)."""

    paint: Literal["fill", "line", "point", "symbol", "bins"]
    fill_opacity: float = 0.55
    line_px: float = 1.0
    radius_px: float = 4.0
    dash: tuple[float, ...] = ()
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Lens:
    """A question asked of every cell: `/lens/{id}.json` gives the class of each cell by cell_no.

    classings: ways to class the cells where there are several (`?classing=`), the usual one first, whose classes are `classes`;
    field: the column of sql/layers/lens_{id}.sql.
    """

    id: str
    name_zh: str
    name_en: str
    question_zh: str
    question_en: str
    source: str
    classes: tuple[LegendClass, ...]
    classings: tuple[Classing, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """The table whose `geom` and `geom_3857` are those of a source that has none: source.column = table.key."""

    table: str
    key: str
    column: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    source: the analysts' view behind it; of a layer with a past it is `source_at(moment)` at now(). kind: how the browser gets
    it at first (`tiles` or `features`; features are there of every layer). key: the column whose value is the feature's id.
    fields: properties of a feature and what they mean. classings: ways to class them, the usual one first. drawer: fields that
    are shown when a feature is chosen, beside `fields`. shape: the geometry columns in the city's zone and in EPSG:3857 ("" = there
    is none: tiles transform what they draw). past: whether a past day can be shown (`?as_of=`). past_near: whether `source_at(moment, near => box)` works out what lies near a
    box of EPSG:3857 alone. past_worked_out: its past is worked out in this process (layers/past_events.py), not by the database. known_by: the lens (analysis.known_since) before whose first record a past day of it is not known. since_field: the time by which a window
    (`?from=&to=`) takes rows; "" = it has no window. between: whether `source_between(since, until, key)` holds the rows of a window,
    added up over it, of all keys (NULL) or of one; since_field then names the day of the first thing that a row counts. ground: where the geometry is, if not in the source. where: which rows of
    the source it draws, a condition on `s`. computed: fields that are an expression on `s` (and %(moment)s), not a column.
    by_key: whether a row of the source is found by its key without the others: a page is then read key by key.
    grouped_below: zoom below which points are drawn as one for each 32nd of a tile, with their number `n` and worst class.
    versions: rows of territory.layer_version that change its content. clock_s: seconds after which a content that depends on
    the time of day is asked for again; 0 = it does not. export: whether it is handed over as a file. Zooms are tile zooms
    (512 px tiles: map zoom − 1). order: drawn above layers of a smaller one. roles: who may see it at all; which rows of it, the
    database decides. scoped: whether callers of different areas get different rows (else one copy serves all). personal:
    columns of a file that name or reach a person. switched: whether it has a switch on the map; else it is always drawn. note: a
    query of sql/layers with note_zh and note_en, what the legend says beside the classes (a bandwidth, a day, why nothing is there).
    counted: the analysts' view that counts the source by the field of the usual classing (`n`, and `no_place` of them without a
    shape), where that is quicker than listing it; its function at a moment is named as the source's.
    """

    id: str
    name_zh: str
    name_en: str
    group: Group
    source: str
    kind: Literal["tiles", "features"]
    key: str
    geometry: Literal["polygon", "line", "point", "mixed"]
    fields: dict[str, str]
    versions: tuple[str, ...]
    style: Style
    order: int
    classings: tuple[Classing, ...] = ()
    drawer: tuple[str, ...] = ()
    lenses: tuple[Lens, ...] = ()
    shape: tuple[str, str] = ("geom", "geom_3857")
    past: bool = False
    past_near: bool = False
    past_worked_out: bool = False
    known_by: str = ""
    since_field: str = ""
    between: bool = False
    ground: Ground | None = None
    where: str = ""
    computed: tuple[tuple[str, str], ...] = ()
    by_key: bool = False
    grouped_below: int = 0
    min_zoom: int = 0
    max_zoom: int = 14
    visible_by_default: bool = True
    clock_s: int = 0
    export: bool = True
    roles: tuple[str, ...] = ROLES
    scoped: bool = True
    personal: tuple[str, ...] = ()
    switched: bool = True
    note: str = ""
    counted: str = ""

    @property
    def classes(self) -> tuple[LegendClass, ...]:
        """The classes of the usual classing."""
        return self.classings[0].classes if self.classings else ()

    @property
    def class_field(self) -> str:
        """The property that the usual classes colour."""
        return self.classings[0].field if self.classings else ""

    def as_declared(self) -> dict[str, Any]:
        """The declaration as JSON tells it to a screen: without what only the database is asked by."""
        told = asdict(self)
        for inner in (
            "ground",
            "shape",
            "where",
            "computed",
            "versions",
            "scoped",
            "personal",
            "note",
            "by_key",
            "between",
            "past_near",
            "past_worked_out",
            "counted",
        ):
            del told[inner]
        computed = {"classes": [asdict(one) for one in self.classes], "class_field": self.class_field}
        return told | computed | {"group_zh": GROUPS[self.group][0], "group_en": GROUPS[self.group][1]}
