"""Makes the pictures of the documentation from one real rehearsal in the real console: `make screenshots`.

console.*      a run at work, 120×40: stream, features, git, evidence, progress
checkpoint.*   the evaluator wants more work, and the operator is asked, 200×60
review.*       what the answer to that rests on, 120×40
small.*        the smallest terminal, 80×24
studio.png     what the demo's agents have built: the evidence of every feature on one sheet

The console's pictures are SVG and PNG. Needs the DejaVu fonts (Debian: fonts-dejavu-core).
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import resvg_py
from PIL import Image, ImageDraw, ImageFont
from textual.pilot import Pilot

from harness_core.layout import RunDir
from harness_core.machine.lock import engine_alive
from harness_core.operator import control
from tui.console.app import Console
from tui.console.facts import Facts
from tui.console.screens.run import RunScreen

HERE = Path(__file__).parent
LONGWATCH = Path(sys.executable).with_name("longwatch")
FONT = "DejaVu Sans Mono"
SETTLE = 1.0
"""Seconds that the console has to draw what it reads in threads."""
TILE, GAP, PER_ROW, LABEL, BACKGROUND = (384, 240), 16, 5, 22, "#14161d"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="longwatch-pictures-") as scratch:
        environment = {**os.environ, "HOME": scratch, "LONGWATCH_STATE": scratch}
        os.environ["LONGWATCH_STATE"] = scratch
        command = [str(LONGWATCH), "demo", "studio", "--fast"]
        demo = subprocess.Popen(command, cwd=scratch, env=environment, stdout=subprocess.DEVNULL)
        run = RunDir.at(Path(scratch, "studio"))
        try:
            asyncio.run(console_pictures(run, lambda: demo.poll() is None))
        finally:
            demo.wait()
        sheet(sorted(run.evidence.glob("F*.png"))).save(HERE / "studio.png", optimize=True)
    return 0


async def console_pictures(run: RunDir, alive: Callable[[], bool]) -> None:
    """Watch the demo to its end, taking pictures on the way and answering its one question."""
    while not engine_alive(run):
        assert alive(), "the demo did not start"
        await asyncio.sleep(0.05)
    await shown(run, (200, 60), "checkpoint", waits)
    await shown(run, (120, 40), "review", waits, "v")
    await shown(run, (80, 24), "small", waits)
    question = control.read_checkpoint(run, control.highest(run.checkpoints))
    assert question is not None
    control.decide(run, question, "approve", "Whole sides, please.")
    await shown(run, (120, 40), "console", lambda facts: facts.report.features["passing"] >= 7)
    while alive():
        await asyncio.sleep(0.1)


def waits(facts: Facts) -> bool:
    return facts.report.checkpoint is not None


async def shown(
    run: RunDir, size: tuple[int, int], name: str, ready: Callable[[Facts], bool], *keys: str
) -> None:
    """The console on a run as soon as that is so, after some keys."""
    app = Console(run)
    async with app.run_test(size=size) as pilot:
        while not (facts := _facts(pilot)) or not ready(facts):
            await pilot.pause(0.02)
        await pilot.press(*keys)
        await asyncio.sleep(SETTLE)
        await pilot.pause()
        save(app.export_screenshot(title="longwatch demo studio"), name)


def _facts(pilot: Pilot[int]) -> Facts | None:
    return next((screen.facts for screen in pilot.app.screen_stack if isinstance(screen, RunScreen)), None)


def save(svg: str, name: str) -> None:
    """A picture of the console, with a font that is at hand instead of one from the network."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", FONT)
    (HERE / f"{name}.svg").write_text(svg)
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, font_family=FONT, monospace_family=FONT))
    with Image.open(io.BytesIO(png)) as picture:
        small = picture.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
        small.save(HERE / f"{name}.png", optimize=True)


def sheet(paths: list[Path]) -> Image.Image:
    """All pictures side by side, each enlarged by whole pixels to the largest size that fits."""
    font = ImageFont.truetype("DejaVuSansMono.ttf", LABEL)
    rows = -(-len(paths) // PER_ROW)
    cell = (TILE[0] + GAP, TILE[1] + 2 * GAP + LABEL)
    whole = Image.new("RGB", (PER_ROW * cell[0] + GAP, rows * cell[1] + GAP), BACKGROUND)
    draw = ImageDraw.Draw(whole)
    for number, path in enumerate(paths):
        left = GAP + number % PER_ROW * cell[0]
        top = GAP + number // PER_ROW * cell[1]
        with Image.open(path) as found:
            times = max(1, min(TILE[0] // found.width, TILE[1] // found.height))
            tile = found.convert("RGB").resize(
                (found.width * times, found.height * times), Image.Resampling.NEAREST
            )
        whole.paste(tile, (left + (TILE[0] - tile.width) // 2, top + (TILE[1] - tile.height) // 2))
        label = path.stem.replace("-", " ")
        draw.text((left + TILE[0] / 2, top + TILE[1] + GAP), label, "#7c8296", font, "mt")
    return whole.quantize(256, Image.Quantize.FASTOCTREE)


if __name__ == "__main__":
    sys.exit(main())
