"""What all pages share."""

from __future__ import annotations

import hashlib

from rosella.web.pages import SHARED

VENDORED = {
    "vendor/wavesurfer.js": "1bca765cc75bc4af079ecd1b2edd659b155e5d1715e75a29d68272d9f141f951",
    "vendor/regions.js": "14780f7d3f7cabfc4fb9a37ddf81c4fcc1045cfdb0b93c4a8c4c6acd52d03a7f",
    "vendor/LICENSE": "0fc992dc27cc34dde78bfeb024b4cadff6320f0dcbee2f1228efaeb533ca1364",
}
"""wavesurfer.js 7.12.12 as npm has it: dist/wavesurfer.esm.js, dist/plugins/regions.esm.js, LICENSE."""


def test_what_others_wrote_is_as_they_wrote_it() -> None:
    found = {
        path.relative_to(SHARED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (SHARED / "vendor").iterdir()
    }
    assert found == VENDORED
