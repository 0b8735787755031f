"""How the watch works, checked: every number that is policy, with its unit. Unknown keys are refused."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from detection.pose import PoseSigma
from geoapp.errors import Refused
from geoapp.watch.incident_state import StateRules


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FetchConfig(Strict):
    """What every way of fetching keeps to. Limits in seconds and bytes; in_flight is how many cameras are asked at a time.

    per_host: of them at one host and port (a recorder with 64 channels is one, and so is each of several recorders that share
    an address behind NAT); a camera waits host_wait_s for its turn, which does not count as its own time. max_pixels: a picture with more is refused by its header, before it is decoded. redirects:
    how many are followed, to the same host only.
    unauthorized_pause_s: a refused account is not tried again for so long (cameras lock an account after some wrong
    tries), unless it was changed meanwhile.
    """

    connect_s: float = Field(default=3.0, gt=0)
    total_s: float = Field(default=5.0, gt=0)
    max_bytes: int = Field(default=16_000_000, gt=0)
    max_pixels: int = Field(default=64_000_000, gt=0)
    in_flight: int = Field(default=64, ge=1)
    per_host: int = Field(default=8, ge=1)
    host_wait_s: float = Field(default=5.0, ge=0)
    redirects: int = Field(default=3, ge=0)
    unauthorized_pause_s: float = Field(default=300.0, ge=0)


class OnvifConfig(Strict):
    """path: of the device service. cache_s: how long a snapshot address, and what is known of the device's clock, is used
    before it is asked for again, seconds.
    """

    path: str = Field(default="/onvif/device_service", pattern="^/")
    cache_s: float = Field(default=900.0, ge=0)


class RtspConfig(Strict):
    """readers: streams read at a time. abandoned: readers that did not end in time and may hang beside them, at most."""

    readers: int = Field(default=16, ge=1)
    abandoned: int = Field(default=16, ge=1)


class PlatformConfig(Strict):
    """The city's video platform (GB/T 28181) and its HTTP API, as WVP's has it; base_url None: there is none.

    at_a_time: cameras asked through it at a time. {device} and {channel} stand for 20 digits each.
    """

    base_url: str | None = Field(default=None, pattern=r"^https?://[^/@\s]+[^@\s]*$")
    username: SecretStr = SecretStr("")
    password: SecretStr = SecretStr("")
    login_path: str = "/api/user/login"
    snap_path: str = "/api/play/snap"
    picture_path: str = "/api/device/query/snap/{device}/{channel}"
    at_a_time: int = Field(default=16, ge=1)


class FilesConfig(Strict):
    """file:// reads below root only, wherever a link leads."""

    root: Path = Path("/")


class SourcesConfig(Strict):
    onvif: OnvifConfig = OnvifConfig()
    rtsp: RtspConfig = RtspConfig()
    platform: PlatformConfig = PlatformConfig()
    files: FilesConfig = FilesConfig()


class GateConfig(Strict):
    """Picture health, as measured in docs/picture-health.md. Grey values 0..255.

    A picture is frozen when frozen_looks in a row over frozen_s seconds have frozen_share of their patches in common, of
    frozen_patches at least that have texture. What is usual for a camera is known after learn_looks good looks. Covered:
    outlines in covered_cells of 48 fields at most, and either the grey values spread by covered_std at most, or covered_usual
    fields are usual and the picture's median is covered_median at least (a dark yard shows nothing either). Blurred: sharpness at most blurred_share
    of what is usual in such light (dark: median below dark_median), or below blurred_below whatever is usual.
    night_colour: a picture with less colour is an infrared one. clock_off_s: a clock further off is noted.
    """

    black_p99: float = Field(default=20.0, ge=0)
    covered_std: float = Field(default=4.0, ge=0)
    covered_cells: int = Field(default=3, ge=0, le=48)
    covered_usual: float = Field(default=10.0, ge=0, le=48)
    covered_median: float = Field(default=30.0, ge=0)
    frozen_looks: int = Field(default=3, ge=2)
    frozen_s: float = Field(default=5.0, ge=0)
    frozen_patches: int = Field(default=3, ge=1)
    frozen_share: float = Field(default=0.75, gt=0, le=1)
    blurred_share: float = Field(default=0.65, ge=0, lt=1)
    blurred_below: float = Field(default=0.22, ge=0, lt=1)
    learn_looks: int = Field(default=10, ge=1)
    dark_median: float = Field(default=60.0, ge=0)
    night_colour: float = Field(default=2.0, ge=0)
    clock_off_s: float = Field(default=60.0, gt=0)


class DetectorConfig(Strict):
    """Which engine runs the weights, on how many cores; imgsz: longest side of its input in pixels, the size that the
    weights were trained at where None (smaller is faster and sees less far). min_threshold keeps a careless threshold from flooding the incident table."""

    backend: Literal["openvino", "ultralytics"] = "openvino"
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    imgsz: int | None = Field(default=None, ge=64, le=4096)
    nms_iou: float = Field(default=0.5, gt=0, lt=1)
    thresholds: dict[str, float] = Field(default_factory=dict)
    default_threshold: float = Field(default=0.4, gt=0, lt=1)
    min_threshold: float = Field(default=0.05, gt=0, lt=1)


class PlacingConfig(Strict):
    """Standard deviations of the survey (degrees, metres) and of the foot point (pixels, and share of the box)."""

    tilt_deg: float = Field(default=0.5, gt=0)
    azimuth_deg: float = Field(default=2.0, gt=0)
    height_m: float = Field(default=0.2, gt=0)
    foot_px: float = Field(default=3.0, gt=0)
    foot_share: float = Field(default=0.06, ge=0)
    smoke_share: float = Field(default=0.2, ge=0)
    default_range_m: float = Field(default=150.0, gt=0)

    def sigma(self, box_px: float, *, is_smoke: bool) -> PoseSigma:
        """Of a box box_px pixels large: the larger the box, the less its bottom centre says."""
        share = self.smoke_share if is_smoke else self.foot_share
        return PoseSigma(self.tilt_deg, self.azimuth_deg, self.height_m, max(self.foot_px, share * box_px))


class IncidentConfig(Strict):
    """Votes and association.

    Shares of a class's threshold: a candidate or quiet incident counts boxes from `hysteresis` of it, an open one is
    kept by boxes from `keep` of it. Below the whole threshold no box begins anything.
    """

    open_votes: int = 2
    open_window: int = 3
    drop_after: int = 3
    quiet_after: int = 3
    close_after: int = 12
    close_after_s: float = 900.0
    hysteresis: float = Field(default=0.8, gt=0, le=1)
    keep: float = Field(default=0.6, gt=0.5, le=1)
    min_match: float = Field(default=0.3, gt=0, lt=1)
    max_gap_s: float = Field(default=900.0, gt=0)

    def state_rules(self) -> StateRules:
        return StateRules(
            self.open_votes,
            self.open_window,
            self.drop_after,
            self.quiet_after,
            self.close_after,
            self.close_after_s,
        )


class AcrossConfig(Strict):
    """When what two cameras see is one incident. Seconds and metres; scores 0..1.

    max_error_m: places known less well (half of the 95 % ellipse's long axis) agree with nothing. gap_s: since it was last
    seen. clear: a second candidate that reaches this share of the best one's score leaves it open which of them it is.
    """

    max_error_m: float = Field(default=40.0, gt=0)
    gap_s: float = Field(default=900.0, gt=0)
    min_score: float = Field(default=0.1, gt=0, lt=1)
    clear: float = Field(default=0.6, gt=0, le=1)


Mode = Literal["measure", "shadow", "alert"]


class ModesConfig(Strict):
    """How boxes count where nothing is set for a camera and class (geoapp detect mode): measure (counted only), shadow
    (incidents kept apart, told to nobody), alert.

    without_pose: of cameras whose place in the world is known and whose direction is not. classes: of single classes.
    """

    default: Mode = "alert"
    without_pose: Mode = "shadow"
    classes: dict[Literal["fire", "smoke", "welding_arc", "sparks"], Mode] = Field(default_factory=dict)


class MasksConfig(Strict):
    """A box is masked where its foot lies in a mask of its class and so does `share` of its area: what grows out of it
    is not. days: how long an accepted mask holds."""

    share: float = Field(default=0.7, gt=0.5, le=1)
    days: float = Field(default=30.0, gt=0, le=366)


class ScheduleConfig(Strict):
    """Seconds, except batch (cameras a claim), burst (extra looks after a first hit), reserve and hours kept.

    reserve: the share of all scans at a time that is kept free for cameras of key risk areas, so that they are never late
    because of the others. write_batch: results that are written in one transaction, at most;
    write_every_s: fewer wait until so long after the last transaction, for others to join them.
    stall_s: a scan that is on its way longer than this means that the process hangs; it ends, to be started again.
    delivery_days: how long it is kept who was told what (analysis.delivery), days; longer under a legal hold.
    """

    tick_s: float = Field(default=0.25, gt=0)
    lease_s: float = Field(default=30.0, gt=0)
    batch: int = Field(default=64, ge=1)
    reserve: float = Field(default=0.25, ge=0, lt=1)
    write_batch: int = Field(default=256, ge=1)
    write_every_s: float = Field(default=0.1, ge=0)
    workers: int = Field(default=4, ge=1)
    burst: int = Field(default=4, ge=0)
    burst_s: float = Field(default=2.0, gt=0)
    sync_s: float = Field(default=15.0, gt=0)
    report_s: float = Field(default=60.0, gt=0)
    stall_s: float = Field(default=120.0, gt=0)
    retain_hours: float = Field(default=24.0, gt=1)
    notice_hours: float = Field(default=168.0, gt=1)
    delivery_days: float = Field(default=400.0, ge=30)


class NightConfig(Strict):
    """When a camera's night period (registry.camera.night_period_s) is in force, by the city's clock. Equal: never."""

    starts: dt.time = dt.time(21, 0)
    ends: dt.time = dt.time(5, 0)

    def is_night(self, local: dt.time) -> bool:
        """Whether a time of day of the city's zone is within the night, its end excluded."""
        if self.starts <= self.ends:
            return self.starts <= local < self.ends
        return local >= self.starts or local < self.ends


class SpoolConfig(Strict):
    """Results that wait while the database is away: how many, and how many bytes of pictures among them.

    Beyond either, empty looks go first and their due times count as not scanned; then pictures, then the oldest looks.
    """

    results: int = Field(default=20_000, ge=1)
    frame_bytes: int = Field(default=256_000_000, ge=0)


class EvidenceConfig(Strict):
    """Which hits leave their frame: the first, every change, a clearly better one, and one every every_s seconds.

    low_mb: less room than this (10^6 bytes) is warned of; full_mb: below it frames are not kept, and their rows say so.
    sweep_most: frames deleted in one go. How long frames are kept is in watch.retention_policy.
    """

    every_s: float = Field(default=30.0, gt=0)
    better_by: float = Field(default=0.05, gt=0)
    most: int = Field(default=40, ge=1)
    low_mb: float = Field(default=5000.0, ge=0)
    full_mb: float = Field(default=500.0, ge=0)
    sweep_most: int = Field(default=2000, ge=1)


class NegativesConfig(Strict):
    """Frames of false alarms as pictures to learn from (geoapp detect negatives). gather: whether the watch puts new
    ones in, every hour. folder None: `negatives` beside the evidence. most_mb: of frames (10^6 bytes); the oldest go first.

    Switched off, nothing comes in, and what is there goes when its review changes or its time is over.
    """

    gather: bool = True
    folder: Path | None = None
    most_mb: float = Field(default=2000.0, ge=0)

    def folder_beside(self, evidence_folder: Path) -> Path:
        """Where the frames go."""
        return self.folder or evidence_folder.parent / "negatives"


class WatchConfig(Strict):
    fetch: FetchConfig = FetchConfig()
    sources: SourcesConfig = SourcesConfig()
    gate: GateConfig = GateConfig()
    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    placing: PlacingConfig = PlacingConfig()
    incidents: IncidentConfig = IncidentConfig()
    across: AcrossConfig = AcrossConfig()
    modes: ModesConfig = ModesConfig()
    masks: MasksConfig = MasksConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    night: NightConfig = NightConfig()
    spool: SpoolConfig = SpoolConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    negatives: NegativesConfig = NegativesConfig()


def read_config(path: Path | None) -> WatchConfig:
    """The configuration of a YAML file, or the defaults. Raises Refused with file, field and reason."""
    if path is None:
        return WatchConfig()
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        config = WatchConfig.model_validate(held)
        config.incidents.state_rules()
        return config
    except OSError as fault:
        raise Refused(f"{path}: 读不了 / cannot be read: {fault.strerror}") from None
    except yaml.YAMLError as fault:
        raise Refused(f"{path}: 不是有效的 YAML / is not valid YAML: {fault}") from None
    except ValidationError as fault:
        lines = [f"  {'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in fault.errors()]
        raise Refused(f"{path}: 配置有误 / wrong settings:\n" + "\n".join(lines)) from None
    except ValueError as fault:
        raise Refused(f"{path}: 配置有误 / wrong settings: incidents: {fault}") from None
