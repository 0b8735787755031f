"""A frame that is tested and then agreed on by a person, on a terminal or by --yes."""

import sys
from typing import Any

from rich.console import Console

from etl.frames import Frame, parse_frame
from etl.ground import Ground
from etl.manifest import Section
from etl.readers import Table
from etl.section_frame import ChooseFrame
from geoapp.errors import Refused

__all__ = ["asking"]


def asking(console: Console, status: Any, *, yes: bool) -> ChooseFrame:
    """The question about a frame: shows how the candidates fare; `yes` takes the one proposed without asking.

    Raises Refused, with the table, where nobody can be asked, where the answer is no, and where none is proposed and `yes`
    is given.
    """

    def choose(section: Section, table: Table, ground: Ground) -> Frame:
        from etl.frame_proposal import propose_frame

        proposal = propose_frame(table, section, ground)
        status.stop()
        console.print(proposal.table())
        best = proposal.best
        if best is None:
            if yes or not sys.stdin.isatty():
                raise Refused(
                    f"{section.name}, {section.shown_file}: 试不出是哪种坐标框架 / the frame cannot be told: {proposal.reason}\n"
                    f"  问数据来源，在清单里写 frame / ask where the file comes from and declare {section.name}.frame."
                )
        elif yes:
            return parse_frame(best)
        if not sys.stdin.isatty():
            raise Refused(
                f"{section.name}, {section.shown_file}: 像是 {best}，需要人确认 / it looks like {best}, and a person has to agree: "
                f"add --yes, or declare {section.name}.frame: {best}."
            )
        answer = console.input(f"{section.name}.frame = [{best or ''}] ? ").strip() or best
        if not answer:
            raise Refused("没有选坐标框架，什么都没有导入 / no frame was chosen; nothing was loaded.")
        status.start()
        return parse_frame(answer)

    return choose
