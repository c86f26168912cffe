"""Texts that are awkward for a tokenizer.

They contain no wrongly decoded text (mojibake): open_clip repairs it with ftfy, the device does not. Characters that
are invisible or easily confused are written as escapes.
"""

_LONG_WORD = "pneumonoultramicroscopicsilicovolcanoconiosis"

CAPTIONS = (
    "Cracking is observed in the main girder.",
    "Corrosion and deterioration of anti-corrosion function are observed in the main girder and cross girder.",
    "Spalling / rebar exposure is observed in the deck slab. The soundness rating is \u2162. "
    "The component-wise measure classification is C1.",
    "Soil/debris clogging is observed in the drainage facility. The soundness rating is \u2160.",
    "The soundness rating is \u2161. The component-wise measure classification is E2.",
    "The soundness rating is \u2163.",
    "ratings \u2160 \u2161 \u2162 \u2163 beside I II III IV",
    "\u2162III\u2162 III",
    "\u2170 \u2171 \u2172 \u2173 are the small glyphs",
)

WIDTH_AND_SCRIPT = (
    "\uff23\uff52\uff41\uff43\uff4b\uff49\uff4e\uff47\u3000\uff11\uff12\uff13 \uff0e\uff05\uff08\uff36\uff09",
    "half-width \uff8b\uff9e\uff8b\uff9e\uff9c\uff9a \uff8a\uff9f\uff93\uff9d \uff71\uff9d\uff76\uff70\uff8e\uff9e\uff99\uff84",
    "half-width \uffe9 \uffed \uff61\uff62\uff63\uff64\uff65",
    "主桁においてひびわれが見られます、健全度判定はⅢです、部材毎の対策区分判定はC1です。",
    "床版 deck slab 橋脚 pier １２３",
    "ガ ガ か\u3099 は\u309a",
    "Трещина в главной балке",
    "Ρωγμή στη γέφυρα ΟΔΟΣ",
    "شق في الجسر ١٢٣",
    "पुल में दरार १२३",
    "교량 균열 \u1100\u1161\u11a8",
    "דחוס 桥 мост 橋",
)

CASE = (
    "\u0130STANBUL \u0131\u0130 dotted and dotless",
    "Stra\u00dfe STRASSE \u1e9e",
    "\u03a3\u039f\u03a6\u039f\u03a3 \u03a3 \u03a3\u03a3 \u0391\u03a3. \u0391\u03a3\u03b1",
    "\u00c9COLE \u00d8RE \u0139\u013d \u01c4 \u01c5",
    "\u212a \u212b \u2126 Kelvin \u00c5ngstrom Ohm",
    "it'\u017f don'\u017f the long s",
    "MiXeD CaSe",
)

ENTITIES = (
    "cracks &amp; spalls &lt; 0.2 mm",
    "cracks &amp;amp; spalls",
    "&amp;lt;b&amp;gt;",
    "no semicolon: &amp cracks &lt 3 &copy 2024 &notit; &nosuchentity; &",
    "&#67;rack &#x43;rack &#X43; &#8546; &#x2162;",
    "invalid &#0; &#x110000; &#xD800; &#128; &#150; &#; &#x; &#11; end",
    "&nbsp;wide&emsp;space&nbsp;",
    "&eacute; e&acute; &Eacute;cole &frac12; &hellip; &CounterClockwiseContourIntegral;",
    "a < b &amp; c",
    "first &amp; line\nsecond < line &amp;\nthird &amp; line",
    "&quot;quoted&quot; &#39;s &apos;s",
)

QUOTES_AND_LIGATURES = (
    "the inspector\u2019s \u201ccrack\u201d \u2018map\u2019 \u201eunten\u201c \u2039so\u203a",
    "o\ufb03ce \ufb01re \ufb02oor \ufb00 \ufb04 \ufb05 \ufb06 \u0132ssel \u01c6",
    "prime 5\u2032 3\u2033 and accent\u00b4s \u02bc\u02bb",
    "dash \u2010 \u2011 \u2012 \u2013 \u2014 \u2015 \u2212 ellipsis \u2026",
)

ACCENTS = (
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "a\u0328\u0301 \u0105\u0301 o\u0302\u0301 s\u0323\u0307 \u1e69",
    "\u0344 \u0958 \ufb2a \U0001d15e composition exclusions",
    "z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334",
)

EMOJI = (
    "bridge \U0001f309 crack \u26a0\ufe0f done \u2705",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f477\U0001f3fd\u200d\u2640\ufe0f worker",
    "\U0001f1ef\U0001f1f5 \U0001f1e9\U0001f1ea flags \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "1\ufe0f\u20e3 #\ufe0f\u20e3 \u00a9\ufe0f \u2122",
    ":-) ;) <3 ^_^ \u00af\\_(\u30c4)_/\u00af",
)

CONTROL_AND_SPACE = (
    "tab\there\nnew line\r\nreturn\rend",
    "vertical\x0btab form\x0cfeed",
    "null\x00 bell\x07 escape\x1b[31mred\x1b[0m delete\x7f",
    "separators \x1c one \x1d two \x1e three \x1f four",
    "next\x85line line\u2028separator paragraph\u2029separator",
    "no-break\u00a0space ogham\u1680space en\u2002em\u2003thin\u2009hair\u200anarrow\u202fmath\u205fideographic\u3000end",
    "zero\u200bwidth joiner\u200djoin non\u200cjoin word\u2060joiner bom\ufeffhere",
    "soft\u00adhyphen left\u200eright\u200fmarks \u202aembed\u202c \u2066isolate\u2069",
    "interlinear\ufff9anchor\ufffb object\ufffc replacement\ufffd",
    "   leading and trailing   ",
    "\ufeffstarts with a byte order mark",
    " \t\n ",
)

SPECIAL_TOKENS = (
    "<start_of_text>",
    "<end_of_text>",
    "before <start_of_text> middle <end_of_text> after",
    "!<end_of_text>?",
    "x<start_of_text>y<END_OF_TEXT>z",
    "<start_of_text <end_of_text >",
    "<<start_of_text>><\u017ftart_of_text>",
)

SHAPES = (
    "",
    "a",
    ".",
    "don't I'll you're we've I'm he'd she's DON'T o'clock 's 'tis rock'n'roll",
    "0123456789 3.14 1,000 10^3 C1 E2 S1 2024-06-07 12:34:56 \u00bd \u00b2 \u2463 \u0663",
    "https://example.org/a/b?c=d&e=f#g user@example.org www.example.org/%20",
    "C:\\photos\\bridge_01\\IMG_0001.JPG /home/pi/photos/*.jpg",
    "snake_case kebab-case camelCase PascalCase dot.case a_b__c",
    "!!! ??? ... --- *** $$$ ((nested [brackets] {here})) ~`@#$%^&*_+=|\\:;\"',.<>/?",
    _LONG_WORD * 8,
    "x" * 400,
    "\u6a4b" * 90,
    "\U0001f309" * 60,
    " ".join(f"word{number}" for number in range(200)),
    " ".join(["the crack in the deck slab is wide and wet"] * 20),
    " ".join(["crack"] * 75),
    " ".join(["crack"] * 76),
    " ".join(["crack"] * 74) + " .",
)

TEXTS = (
    CAPTIONS + WIDTH_AND_SCRIPT + CASE + ENTITIES + QUOTES_AND_LIGATURES + ACCENTS + EMOJI + CONTROL_AND_SPACE
    + SPECIAL_TOKENS + SHAPES
)
