"""The texts of make_tokens.py: written by hand, and generated from a fixed seed."""
import html.entities
import random
import unicodedata

HAND = [
    # Prompts as people write them.
    "", " ", "\t\n \r\n", "a", "A", "a cat", "A photo of a cat.", "it's", "IT'S", "don't, won't, I'll",
    "they've we're I'm he'd she'll", "'s 't 're 've 'm 'll 'd", "''s", "'S'T'RE", "rock'n'roll",
    "a\u2019s \u2018quoted\u2019 \u201cdouble\u201d \u201b \u201e \u201f \u02bc", "`backtick` \u00b4 \u2032",
    "masterpiece, best quality, 1girl, solo", "score_9, score_8_up, score_7_up, source_anime",
    "score_9,score_8_up,score_7_up,rating_explicit,1boy", "1girl, hatsune_miku, twintails, >_<, ^_^, :3",
    "rem_\\(re:zero\\), saber_\\(fate\\), artoria_pendragon_\\(fate\\)", "ganyu \\(genshin impact\\)",
    "(masterpiece:1.2), [blurry:0.8], ((detailed)), {nai}, <lora:add_detail:0.7>",
    "<lora:x:1> &amp; after", "&amp; before <lora:x:1>", "&lt;b&gt; &amp;amp;", "&amp;lt;",
    "a\nb &amp; c\n<d>\ne &amp; f", "embedding:bad-hands-5", "4k, 8K, hdr10+, 1024x1024, 50mm f/1.8, ISO-100",
    "\u00bd \u00b2 \u2460 \u2167 \u096a \u0664 1234567890 3.14 1,000", "100%", "$5 \u20ac6 \u00a37 \u00a58",
    "a" * 100, "ab" * 60, "!" * 80, "?!" * 40, "aAaA" * 30, "1" * 50, "_" * 77, "-" * 100, "," * 90,
    "a_b_c__d", "snake_case_tag camelCase kebab-case", "#hashtag @user https://example.com/?q=1&r=2&copy=3",
    "C:\\path\\file", "\\", "\\\\", "(", ")", "()", "((((((((((", "))))))))))", "[[a|b]:0.5]", "BREAK", "a BREAK b",
    # The specials, in each tokenizer's spelling.
    "<|startoftext|>", "<|endoftext|>", "a<|endoftext|>b", "a <|endoftext|> b", "<|ENDOFTEXT|>",
    "<|StartOfText|>x", "<|endoftext|", "<<|endoftext|>>", "<|<|startoftext|>|>", "<|endoftext|><|endoftext|>",
    "<start_of_text>", "<end_of_text>", "a<end_of_text>b", "<END_OF_TEXT>", "<start_of_text><|startoftext|>",
    "\uff1c\uff5cendoftext\uff5c\uff1e", "&lt;|endoftext|&gt;", "&lt;end_of_text&gt;", "<|\u017ftartoftext|>",
    "<\u017ftart_of_text>", "it'\u017f", "'\u017fa", "a<|endoftext|>&amp;", "<|endoftext|>'s", "a &amp;<|endoftext|>&amp;",
    # Lower case: full mappings and the final sigma.
    "\u0130", "\u0130STANBUL D\u0130YARBAKIR I\u015eIK", "\u0131I", "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3",
    "\u03a3", "\u03a3\u03a3", "a\u03a3", "\u03a3a", "a\u03a3 b", "a\u03a3.", "a\u03a3.b", "a.\u03a3", "a\u03a3'b", "a\u03a3' b",
    "\u0391\u03a3\u0301", "A\u03a3\u00adB", "1\u03a3", "a1\u03a3", "\u2160\u03a3", "\u24b6\u03a3", "\U0001f130\u03a3", "\u00aa\u03a3",
    "\u02b0\u03a3", "a\u02b0\u03a3", "A\u03a3\u2160", "A\u03a3:", "A\u03a3:A", "\u1e9e STRASSE Stra\u00dfe", "\u01c4\u01c5\u01c6 \u01c7\u01c8\u01c9 \u01f1\u01f2\u01f3",
    "\u212a \u212b \u2126", "\ua64a \u10a0 \u13a0 \u1c90 \U00010400 \U0001e900 \u2c00", "\u1fbc \u1f88 \u1f80",
    # Normal forms.
    "caf\u00e9 cafe\u0301", "\u00e5 a\u030a \u212b", "\u1e69 s\u0323\u0307 s\u0307\u0323 \u1e63\u0307 \u1e61\u0323", "q\u0307\u0323 q\u0323\u0307",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165", "\u1112\u1161 \uac00\u11a8 \uac01\u11a8", "\u0958 \u0915\u093c \u2adc \ufb1d",
    "\u0344 \u0374 \u037e \u0387 \u1f71 \u1fbe", "\u2000\u2001", "\uf900 \ufa0c \U0002f800", "\u0f43 \u0f42\u0fb7", "\u09c7\u09be \u0dd9\u0dcf\u0dca",
    "\u0300", "\u0301\u0302", "\u0327\u0301\u0323", "\u00c0\u0300\u0323\u0327", "\u3099\u304b\u3099", "\u304b\u3099 \u30cf\u309a",
    # Widths and ligatures.
    "\uff21\uff22\uff23\uff11\uff12\uff13 \uff41\uff42\uff43", "\uff2c\uff2f\uff35\uff24\u3000\uff2e\uff2f\uff29\uff33\uff25\uff33", "\uff33\uff43\uff4f\uff52\uff45\uff3f\uff19",
    "\uff76\uff9e\uff77\uff9f\uff86\uff6e", "\uffa1\uffc2\uffa4", "\uffe0\uffe1\uffe2\uffe3\uffe4\uffe5\uffe6", "\uffe8\uffe9\uffed\uffee", "\uff06amp; \uff06\uff23\uff41", "&\uff41mp;",
    "\ufb00 \ufb01 \ufb02 \ufb03 \ufb04 \ufb05 \ufb06", "\ufb02ubberi\ufb01c", "\u0132sland \u0133s \u0149", "\u00e6 \u0153 \u00c6", "\ufb13 \ufb20 \ufdfa",
    # Controls, escapes, breaks, invisible characters.
    "a\x01b\x02c", "a\x08b\x0bc\x0cd\x0ee\x1ff\x7fg", "a\tb\nc\rd\r\ne", "a\u2028b\u2029c\u0085d", "a\x80b\x91c\x92d\x93e\x94f",
    "\x81\x8d\x8f\x90\x9d", "\x1b[31mred\x1b[0m", "\x1b[1;32;4mbold", "\x1b[", "\x1b[31", "\x1bM \x1b]0;t", "\x1b[\u0663m x", "\x1b[3\x011m", "\x1b[3&#49;m",
    "\ufeffbom", "zero\u200bwidth\u200cnon\u200djoin", "soft\u00adhyphen", "\u200e\u200f\u202a\u202e\u2066\u2069", "\u206a\u206f", "\ufff9\ufffa\ufffb\ufffc\ufffd", "a\u00a0b\u1680c\u202fd\u205fe\u3000f",
    "\u180e\u2060", "\ue000\uf8ff", "\U000e0041", "\ufdd0 \uffff \U0001ffff",
    # HTML.
    "&amp;", "&AMP;", "&amp", "&ampfoo", "&notit;", "&notin;", "&not;", "&copy &copy; &COPY; &reg", "&lt;&gt;&quot;&apos;", "&quot", "&nbsp;x&nbsp", "&eacute;&EACUTE;&Eacute &eacut",
    "&#39; &#x27; &#X27; &#039;", "&#38;amp;", "&#65 &#65b &#x41g", "&#59;", "&#59", "&#0; &#1; &#11; &#31; &#127; &#128; &#133; &#150 &#159", "&#55357;&#56832;", "&#xD83D;", "&#1114111; &#1114112; &#99999999999", "&#xFFFE; &#xFDD0; &#x10FFFF;",
    "&#;", "&#x;", "&#xg;", "&;", "&&amp;;", "& amp;", "&amp;amp;amp;amp;amp;amp;", "&am&#112;;", "&hellip; &mdash; &ldquo;x&rdquo;", "&SZLIG; &NTILDE; &nTILDE; &HEARTS; &TRADE; &ALPHA;", "&CounterClockwiseContourIntegral;", "&NotEqualTilde; &bne; &fjlig; &ThickSpace;",
    "&Tab;&NewLine;", "AT&T R&D Q&A", "a&b;c", "&#x1F600; &#128512;", "&lt &lt;", "&ltimes; &ltimes", "&gtx", "&frac12;&frac12 &frac34x &sup2 &THORN &ETH;", "&amp;#39; &amp;quot;", "&aacutexyz", "&aacute\u00e9", "&#\uff11;", "&amp;lt;b&amp;gt; &lt;i&gt;",
    "&thisisaverylongnamewithoutanymeaningatall;", "&" + "a" * 40 + ";", "&#00000000000000000000000065;", "&#0000000000000000000000065;", "&ffilig; &IJlig;", "&#8217;s it&#8217;s it&rsquo;s",
    # Scripts and emoji.
    "\u732b \u5973\u306e\u5b50 \u30a2\u30cb\u30e1", "\u7f8e\u5c11\u5973\uff0c\u6700\u9ad8\u8d28\u91cf\u3002", "\ud55c\uad6d\uc5b4 \ud504\ub86c\ud504\ud2b8", "\u041a\u0440\u0430\u0441\u0438\u0432\u0430\u044f \u0434\u0435\u0432\u0443\u0448\u043a\u0430", "\u0451 \u0435\u0308 \u0419 \u0418\u0306",
    "\u0642\u0637\u0629 \u062c\u0645\u064a\u0644\u0629", "\u0627\u0644\u0644\u064e\u0651\u0647\u0650", "\u05d7\u05ea\u05d5\u05dc \u05d9\u05b8\u05e4\u05b6\u05d4", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0e41\u0e21\u0e27\u0e19\u0e48\u0e32\u0e23\u0e31\u0e01",
    "\u1798\u17d2\u179a", "\u10d9\u10d0\u10e2\u10d0", "\u053f\u0561\u057f\u0578\u0582", "ti\u1ebfng Vi\u1ec7t \u0111\u1eb9p", "\u4e2d\u6587\u00b7\u6e2c\u8a66\uff01\uff1f\uff1b\uff1a\u300c\u300d",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1ef\U0001f1f5", "\U0001f44d\U0001f3fd", "\u2764\ufe0f \u2764", "1\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "cat\U0001f431cat",
    "\U0001d4d0\U0001d4d1 \U0001d7d9 \u210d", "\u2122\u00ae\u00a9", "\u2190\u2192 \u221e \u2248 \u2200x\u2208\u211d", "\u00b5 \u03bc", "x\u0336y\u0336", "Z\u0351\u0357a\u0300\u0316l\u0325g\u030bo\u035c",
]

WORDS = """a an the of in on with and photo painting portrait cat dog girl woman man knight dragon city
forest castle mountain river sunset night rain snow neon light shadow hair eyes dress armor sword wings
cinematic dramatic detailed intricate highly ultra realistic watercolor oil sketch anime style by artist
trending artstation unreal engine render octane volumetric lighting depth field bokeh lens wide angle close
up full body smiling sitting standing running holding wearing looking viewer outdoors indoors blue red green
silver golden long short background simple white black vintage steampunk cyberpunk fantasy surreal""".split()
TAGS = """1girl 2girls 1boy solo long_hair short_hair blonde_hair blue_eyes red_eyes looking_at_viewer smile
open_mouth blush school_uniform thighhighs twintails cat_ears animal_ears fox_tail hair_ornament hair_ribbon
absurdres highres masterpiece best_quality very_aesthetic newest score_9 score_8_up score_7_up score_6_up
source_anime source_pony source_furry rating_safe rating_questionable official_art year_2023 @_@ >_< ;) :d
\\(character\\) frieren_\\(sousou_no_frieren\\) saber_\\(fate\\) 2b_\\(nier:automata\\) ganyu_\\(genshin_impact\\)
ayanami_rei makima_\\(chainsaw_man\\) hand_on_own_hip from_above cowboy_shot depth_of_field 50mm f/1.4""".split()
ACCENTED = """caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u00fcber stra\u00dfe fa\u00e7ade jalape\u00f1o \u00c5ngstr\u00f6m sm\u00f8rrebr\u00f8d \u017b\u00f3\u0142\u0107 p\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148
\u00c9COLE \u00c0 LA CR\u00c8ME BR\u00dbL\u00c9E GAR\u00c7ON \u011e\u00dcZEL \u0130ZM\u0130R I\u015eIK ti\u1ebfng vi\u1ec7t ph\u1edf b\u00e1nh m\u00ec \u0219i \u021bar\u0103 \u0121\u0127a\u017c\u017ba \u00fe\u00f3rr \u00e6tt""".split()
SCRIPTS = {
    "cjk": [(0x4E00, 0x9FFC), (0x3041, 0x3096), (0x30A1, 0x30FA), (0xAC00, 0xD7A3), (0x3001, 0x3011), (0x20000, 0x200FF)],
    "cyrillic": [(0x400, 0x52F), (0x20, 0x20)],
    "greek": [(0x391, 0x3A1), (0x3A3, 0x3CE), (0x3A3, 0x3A3), (0x20, 0x20), (0x27, 0x2E), (0x1F00, 0x1F07)],
    "arabic": [(0x620, 0x64A), (0x64B, 0x652), (0x660, 0x669), (0x20, 0x20), (0x6D2, 0x6D5)],
    "indic": [(0x905, 0x939), (0x93C, 0x94D), (0x995, 0x9A8), (0xB95, 0xB95), (0x20, 0x20)],
    "jamo": [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2), (0xAC00, 0xAC1C), (0xFFA1, 0xFFDC)],
    "marks": [(0x300, 0x34E), (0x350, 0x36F), (0x61, 0x7A), (0x5B0, 0x5BC), (0x1E00, 0x1E20), (0x3099, 0x309A)],
    "width": [(0xFF01, 0xFFEE), (0x3000, 0x3000), (0x61, 0x7A)],
    "control": [(0x1, 0x1F), (0x7F, 0x9F), (0x2028, 0x2029), (0x206A, 0x206F), (0x61, 0x66), (0x1B, 0x1B), (0x5B, 0x5B), (0x30, 0x3B)],
    "symbols": [(0x2010, 0x2027), (0x2190, 0x21FF), (0x2600, 0x26FF), (0x20A0, 0x20BF), (0x2460, 0x24FF), (0x2150, 0x218B)],
    "ligatures": [(0xFB00, 0xFB06), (0x132, 0x133), (0x149, 0x149), (0x1C4, 0x1CC), (0x1F1, 0x1F3), (0x61, 0x6A)],
    "punctuation": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0x61, 0x65), (0x30, 0x31), (0x20, 0x20)],
    "any": [(0x20, 0x2FFF), (0xA000, 0xD7A3), (0xF900, 0xFFFD), (0x10000, 0x1FFFF)],
}
EMOJI = ["\U0001f600", "\U0001f431", "\u2764\ufe0f", "\U0001f468", "\U0001f469", "\U0001f467", "\U0001f3fd", "\U0001f3ff", "\U0001f308",
         "\U0001f3f3\ufe0f", "\U0001f680", "\U0001f1eb\U0001f1f7", "\U0001f1fa\U0001f1f8", "\u2728", "\U0001f525", "3\ufe0f\u20e3", "\U0001f9d1\u200d\U0001f680"]


def assigned(rng, ranges):
    """A random character; ranges are as likely as each other; Unicode 14 knows it."""
    while True:
        c = chr(rng.randint(*rng.choice(ranges)))
        if unicodedata.category(c) not in ("Cn", "Cs", "Co"):
            return c


def script(rng, ranges):
    return "".join(assigned(rng, ranges) for _ in range(rng.randint(1, 24)))


def english(rng):
    words = [rng.choice(WORDS) for _ in range(rng.randint(2, 24))]
    words = [rng.choice([w, w, w, w.upper(), w.title(), w + ",", w + "'s", w + "n't", w + str(rng.randint(0, 99))]) for w in words]
    return " ".join(words) + rng.choice(["", ".", "!", "...", " ?"])


def booru(rng):
    tags = [rng.choice(TAGS) for _ in range(rng.randint(2, 20))]
    tags = [rng.choice([t, t, t, f"({t}:{rng.randint(5, 15) / 10})", f"[{t}]", t.replace("_", " ")]) for t in tags]
    return rng.choice([", ", ",", " , ", ",\n"]).join(tags)


def accents(rng):
    text = " ".join(rng.choice(ACCENTED) for _ in range(rng.randint(1, 8)))
    return rng.choice([str, str.upper, str.lower])(unicodedata.normalize(rng.choice(["NFC", "NFD"]), text))


def entities(rng):
    names = sorted(html.entities.html5)
    out = []
    for _ in range(rng.randint(1, 8)):
        name = rng.choice(names)
        code = rng.choice([rng.randint(0, 300), rng.randint(0, 0x2FFF), rng.randint(0x1F300, 0x1F6FF)])
        if 0x300 < code and unicodedata.category(chr(code)) == "Cn":
            code = 65
        out.append(rng.choice([f"&{name}", f"&{name}", f"&{name.upper()}", f"&{name[:-1]}", f"&{name}x", f"&#{code};", f"&#x{code:x};",
                               f"&#{code}", f"&#X{code:X} ", f"&amp;{name}", f"&amp;#{code};", f"&{name.lower()};", "&", rng.choice(WORDS), " ", " <"]))
    return "".join(out)


def emoji(rng):
    return rng.choice(["", " ", "\u200d"]).join(rng.choice(EMOJI + ["a", "cat"]) for _ in range(rng.randint(1, 8)))


def mixture(rng):
    makers = [english, booru, accents, entities, emoji, quotes]
    return rng.choice([" ", "", "\n", "\u3000", "\t"]).join(rng.choice(makers)(rng)[:40] for _ in range(rng.randint(2, 4)))


def quotes(rng):
    marks = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u02bc'\"\u2032\u00ab\u00bb\u2039\u203a\x91\x92\x93\x94"
    return "".join(rng.choice(marks) + rng.choice(WORDS)[: rng.randint(1, 9)] + rng.choice([rng.choice(marks), " ", "\u2019s", "\u2019re"]) for _ in range(rng.randint(1, 6)))


def texts():
    """About 2,400 texts, each once."""
    rng = random.Random(20240512)
    seen = dict.fromkeys(HAND)
    for maker, count in ((english, 300), (booru, 300), (accents, 200), (entities, 350), (emoji, 120), (quotes, 120), (mixture, 200)):
        for _ in range(count):
            seen.setdefault(maker(rng))
    for ranges in SCRIPTS.values():
        for _ in range(60):
            seen.setdefault(script(rng, ranges))
    for _ in range(2):  # lines of 10 KB, in full
        line = ""
        while len(line) < 10000:
            line += mixture(rng).replace("\n", " ") + ", "
        seen.setdefault(line)
    return list(seen)


def long_texts():
    """(text, times) of 10 KB and more, kept as recipes."""
    rng = random.Random(7)
    units = ["a", "ab", "cat ", "score_9, ", "\u00e9", "e\u0301", "\u0301\u0323", "\u732b", "\U0001f431", "&amp;", "&amp ", "(", "a'", "\u03a3", "A\u03a3.", "\u0130", "\uff21", "\ufb03",
             "<|endoftext|>a", "<end_of_text>a", "1", "\n", "&lt;\n", "\x1b[0m.", "the", "aaaaaaaaaab"]
    out = [(unit, 10240 // len(unit.encode())) for unit in units]
    return out + [(mixture(rng) + " ", 100) for _ in range(10)]


def chunk_texts():
    """Lengths around 75 and 150 tokens, and commas around the 20 tokens that are looked back."""
    out = ["", ",", "cat", "cat, dog", ", ".join(["cat"] * 60), ",".join("," for _ in range(200))]
    out += ["cat " * n for n in (74, 75, 76, 149, 150, 151, 225)]
    out += ["cat " * n + ", " + "dog " * 90 for n in (0, 1, 53, 54, 55, 56, 73, 74, 75, 76, 130)]
    out += ["cat " * 60 + "," + "dog " * 14 + tail for tail in ("", ",", ",,", "dog", ", dog", "dog,")]
    out += ["cat " * 60 + "," + "dog " * 13 + ", fish " + "bird " * 100 + ", end " * 30]
    out += ["a <|endoftext|> b", "a <end_of_text> b", "cat " * 70 + "<|endoftext|> <end_of_text>" + " dog" * 20]
    out += ["Pok\u00e9mon &amp; caf\u00e9 \U0001f431, " * 12]
    return out
