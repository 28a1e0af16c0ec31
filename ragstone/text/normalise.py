"""The one normalisation of text, used on documents when they are parsed and on questions when they are asked.

Silver text is normalised text, and chunk offsets point into it, so a change of these rules is a new
`NORMALISER_VERSION` and every document is parsed anew.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NORMALISER_VERSION: Final = "1"

_LINE_BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Soft hyphen, zero-width space and its kin, direction marks, byte order mark, interlinear marks, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# Joiners carry meaning in emoji and in scripts such as Arabic or Devanagari; anywhere else they only hide.
_JOINED = "\u0590-\u18ff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_STRAY_JOINER = re.compile(f"(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])")
_INNER_SPACE = re.compile("(?<=[^\n ]) {2,}")
_SPACE_BEFORE_BREAK = re.compile("(?<! ) +(?=\n)")
_BLANK_LINES = re.compile("\n{3,}")
_TAB_SPACES: Final = "    "
_SPACES: Final = dict.fromkeys(
    map(ord, "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"), " "
) | {ord("\t"): _TAB_SPACES}


def normalise(text: str) -> str:
    """Return text in Unicode NFC with plain line breaks and spaces, and without what cannot be seen.

    Runs of spaces become one, except at the beginning of a line, where they carry meaning in code and lists; at most
    one blank line stays between lines; nothing is left at either end. Normalising twice changes nothing.
    """
    text = _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text))
    # Composing first maps look-alikes such as U+2126 to the letters that the rules about joiners look at.
    text = _STRAY_JOINER.sub("", unicodedata.normalize("NFC", text))
    text = unicodedata.normalize("NFC", text).translate(_SPACES)
    text = _SPACE_BEFORE_BREAK.sub("", _INNER_SPACE.sub(" ", text))
    return _BLANK_LINES.sub("\n\n", text).strip(" \n")
