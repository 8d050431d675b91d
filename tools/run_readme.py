"""Run the README's `rosella` commands in an empty folder, with small things behind the names.

The podcast and the models are the ones that ship with the package, and training takes two steps.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = {
    "my-podcast/manifest.jsonl": str(ROOT / "src/rosella/mini/podcast/manifest.jsonl"),
    "descript/dac_44khz": "mini --max-seconds 10",
    "nari-labs/Dia-1.6B-0626": "mini",
    "runs/demo/train/model": "mini",
    "recipes/dia.yaml": str(ROOT / "recipes/dia.yaml"),
    "data.export=my-corpus": "data.export=my-corpus model.weights=mini steps=2 optimizer.warmup=0 "
    "data.max_frames=600 data.batch_frames=600 data.max_text_bytes=512 data.buckets=1",
}


def commands(readme: Path = ROOT / "README.md") -> list[str]:
    """Every line of the README's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", readme.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def small(command: str) -> list[str]:
    """The command with its names replaced, as arguments; a name may stand for several."""
    words = shlex.split(command)
    replaced = [SMALL[word].split() if word in SMALL else [word] for word in words]
    return [word for part in replaced for word in part]


def main() -> None:
    rosella = Path(sys.executable).with_name("rosella")
    folder = Path(tempfile.mkdtemp(prefix="readme-"))
    try:
        for command in commands():
            if command.startswith("rosella "):
                print(f"$ {command}", flush=True)
                subprocess.run([rosella, *small(command)[1:]], cwd=folder, check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
