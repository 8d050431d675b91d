"""Small files in the real structure of each format; the audio is a tone."""

from __future__ import annotations

import gzip
from pathlib import Path

from corpus.fakes import save_tone

SKP = """<?xml version="1.0"?>
<!DOCTYPE ttext SYSTEM "ttext.dtd">
<ttext ref="fn000248">
  <tmu ref="fn000248.1" s="COMMENT" tb="0.000" te="12.000" tt="eq" tq="man">
    <tm ref="fn000248.1.1"  tb="0.000" te="12.000" tt="in" tq="man"   m="televisie"/>
  </tmu>
  <tau ref="fn000248.2" s="N01168" tb="0.251" te="4.100" tt="eq" tq="man">
    <tw ref="fn000248.2.1"  tb="0.251" te="2.250" tt="in" tq="man"     w="d"/>
    <tw ref="fn000248.2.2"  tb="0.251" te="2.250" tt="in" tq="man"     w="dus"/>
    <tw ref="fn000248.2.3"  tb="0.251" te="2.250" tt="in" tq="man"     w="uh"/>
    <tw ref="fn000248.2.4"  tb="2.250" te="4.100" tt="in" tq="man"     w="Belgi&euml;"/>
  </tau>
  <tau ref="fn000248.3" s="N01169" tb="3.900" te="4.600" tt="eq" tq="man">
    <tw ref="fn000248.3.1"  tb="3.900" te="4.600" tt="in" tq="man"     w="ggggg"/>
    <tw ref="fn000248.3.2"  tb="3.900" te="4.600" tt="in" tq="man"     w="ja"/>
  </tau>
  <tau ref="fn000248.4" s="N01168" tb="5.000" te="7.000" tt="eq" tq="man">
    <tw ref="fn000248.4.1"  tb="5.000" te="7.000" tt="in" tq="man"     w="Xxx"/>
    <tw ref="fn000248.4.2"  tb="5.000" te="7.000" tt="in" tq="man"     w="zeg"/>
  </tau>
  <tau ref="fn000248.5" s="N01169" tb="7.000" te="9.000" tt="eq" tq="man">
    <tw ref="fn000248.5.1"  tb="7.000" te="9.000" tt="in" tq="man"     w="cool*v"/>
    <tw ref="fn000248.5.2"  tb="7.000" te="9.000" tt="in" tq="man"     w="hè"/>
  </tau>
  <tau ref="fn000248.6" s="UNKNOWN" tb="9.400" te="11.000" tt="eq" tq="man">
    <tw ref="fn000248.6.1"  tb="9.400" te="11.000" tt="in" tq="man"     w="R&amp;B"/>
  </tau>
</ttext>
"""

PRI = """<?xml version="1.0"?>
<!DOCTYPE text SYSTEM "text.dtd">
<text id="fn000248">
  <mu id="fn000248.1" s="COMMENT">
    <m id="fn000248.1.1">                          televisie.      </m>
  </mu>
  <au id="fn000248.2" s="N01168">
    <w id="fn000248.2.1">                          d               </w>
    <w id="fn000248.2.2">                          dus             </w>
    <w id="fn000248.2.3">                          uh              </w>
    <w id="fn000248.2.4">                          Belgi&euml;     </w>
    <l id="fn000248.2.5">                          ...             </l>
  </au>
  <au id="fn000248.3" s="N01169">
    <w id="fn000248.3.1">                          ggggg           </w>
    <w id="fn000248.3.2">                          ja              </w>
    <l id="fn000248.3.3">                          .               </l>
  </au>
  <au id="fn000248.5" s="N01169">
    <w id="fn000248.5.1">                          cool*v          </w>
    <w id="fn000248.5.2">                          h&egrave;       </w>
    <l id="fn000248.5.3">                          ?               </l>
  </au>
</text>
"""

TAG = """<?xml version="1.0"?>
<!DOCTYPE ptext SYSTEM "ptext.dtd">
<ptext ref="fn000248">
 <pau ref="fn000248.2" s="N01168">
  <pw ref="fn000248.2.1"  w="d"           pos="SPEC(afgebr)" lem="_"
    wid="0" lid="0" nlid="0" pq="man"/>
  <pw ref="fn000248.2.2"  w="dus"         pos="BW()" lem="dus"
    wid="93037" lid="30559" nlid="30559#1" pq="man"/>
 </pau>
</ptext>
"""

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-03-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/a/my%20talk.wav" MIME_TYPE="audio/x-wav"
            RELATIVE_MEDIA_URL="./my%20talk.wav"/>
        <PROPERTY NAME="lastUsedAnnotationId">4</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2500"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="4000"/>
        <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="0"/>
        <TIME_SLOT TIME_SLOT_ID="ts6" TIME_VALUE="6000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="utterance" PARTICIPANT="Anna" TIER_ID="A_orth">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>Uhm, wa- wat zei je?</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="gloss" PARENT_REF="A_orth" PARTICIPANT="Anna" TIER_ID="A_gloss">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>what did you say</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="utterance" TIER_ID="Ben">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
                <ANNOTATION_VALUE>[lacht] niks &lt;cough&gt;</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="utterance" TIER_ID="BACKGROUND">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts5" TIME_SLOT_REF2="ts6">
                <ANNOTATION_VALUE>verkeer</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
</ANNOTATION_DOCUMENT>
"""

TEXTGRID_LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 6
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "Zoë"
        xmin = 0
        xmax = 6
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 2.5
            text = "hij zei ""nee"" of 3 keer
 ja"
        intervals [3]:
            xmin = 2.5
            xmax = 6
            text = "  "
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 6
        points: size = 1
        points [1]:
            number = 1.25
            mark = "klik"
    item [3]:
        class = "IntervalTier"
        name = "Ben"
        xmin = 0
        xmax = 6
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 2
            text = ""
        intervals [2]:
            xmin = 2
            xmax = 6
            text = "uh 100 keer (laughs)"
"""

TEXTGRID_SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
6
<exists>
3
"IntervalTier"
"Zoë"
0
6
3
0
0.5
""
0.5
2.5
"hij zei ""nee"" of 3 keer
 ja"
2.5
6
"  "
"TextTier"
"clicks"
0
6
1
1.25
"klik"
"IntervalTier"
"Ben"
0
6
2
0
2
""
2
6
"uh 100 keer (laughs)"
"""


def save_gzipped(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode("latin-1" if "&" in content else "utf-8")))
    return path


def save_cgn(folder: Path) -> Path:
    """A corpus as it is delivered: a Dutch recording with all layers and a Flemish one with words alone."""
    xml = folder / "data/annot/xml"
    save_gzipped(xml / "skp-ort/comp-a/nl/fn000248.skp.gz", SKP)
    save_gzipped(xml / "pri/comp-a/nl/fn000248.pri.gz", PRI)
    save_gzipped(xml / "tag/comp-a/nl/fn000248.tag.gz", TAG)
    save_gzipped(xml / "skp-ort/comp-k/vl/fv600001.skp.gz", SKP.replace("fn000248", "fv600001"))
    save_tone(folder / "data/audio/wav/comp-a/nl/fn000248.wav", 12.0)
    save_tone(folder / "data/audio/wav/comp-k/vl/fv600001.wav", 12.0, seed=1)
    return folder
