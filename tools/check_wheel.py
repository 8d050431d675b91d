"""check_wheel.py WHEEL: does it hold every file of the package that git knows?"""

from __future__ import annotations

import subprocess
import sys
import zipfile


def main(wheel: str) -> None:
    listed = subprocess.run(["git", "ls-files", "src/rosella"], check=True, capture_output=True, text=True)
    wanted = {path.removeprefix("src/") for path in listed.stdout.splitlines()}
    missing = sorted(wanted - set(zipfile.ZipFile(wheel).namelist()))
    if missing:
        sys.exit(f"{wheel} lacks {', '.join(missing)}")
    print(f"{wheel}: all {len(wanted)} files of the package")


if __name__ == "__main__":
    main(sys.argv[1])
