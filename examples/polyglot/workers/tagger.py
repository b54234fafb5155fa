"""Tags English words with coarse parts of speech: a list of the small words,
the endings of the others, and the word before. It is as simple as it looks; what
matters here is that it is another program than the tagger it is compared with.
"""

import re

from weir_worker import Permanent, serve

SMALL = {
    "DET": "a an the this that these those every each no some any all both another many few most several",
    "PRON": "i you he she it we they me him her us them my your his its our their mine yours hers ours theirs "
            "who whom what which whose somebody anybody nobody everybody someone anyone something anything nothing "
            "himself herself itself themselves myself yourself there none",
    "ADP": "of in on at by for with from into onto over under between among through across behind before after "
           "during without within about against along around towards toward until near inside than down up off out per",
    "CONJ": "and or but nor because although while if when where since whether once though yet as",
    "VERB": "be am is are was were been being have has had do does did will would can could may might must shall "
            "should get got go went gone say says said see saw seen make made take took taken come came know knew "
            "find found give gave tell told think thought become became leave left want need ask try 's 're 've 'll 'd 'm",
    "PART": "to not n't",
    "ADV": "very too also often never always only even still just now then here again soon ever almost already "
           "perhaps however therefore deeply yesterday today tomorrow twice usually finally long hardly so",
    "ADJ": "good old new small large great young little long high cold warm late early quiet loud clear rich dull "
           "other same own first second third last next famous cheap modern strange deep sharp simple easy true",
    "NUM": "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred "
           "thousand million",
}
WORDS = {word: tag for tag, words in SMALL.items() for word in words.split()}

ENDINGS = [
    ("ly", "ADV"), ("ing", "VERB"), ("ed", "VERB"), ("ise", "VERB"), ("ize", "VERB"),
    ("ous", "ADJ"), ("ful", "ADJ"), ("less", "ADJ"), ("able", "ADJ"), ("ible", "ADJ"), ("ive", "ADJ"), ("ic", "ADJ"),
    ("al", "ADJ"), ("est", "ADJ"),
]

TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|[^\W\d_]+(?:-[^\W\d_]+)*|[^\w\s]|_")


def tag(word, before):
    """The tag of a word after a word with the tag before."""
    lower = word.lower()
    if not word[0].isalnum() and lower not in WORDS:
        return "PUNCT"
    if word[0].isdigit():
        return "NUM"
    if lower in WORDS:
        return WORDS[lower]
    if word[0].isupper() and before != "":
        return "NOUN"
    for ending, found in ENDINGS:
        if lower.endswith(ending) and len(lower) > len(ending) + 2:
            if found == "VERB" and before in ("DET", "ADP", "ADJ"):
                return "NOUN" if ending == "ing" else "ADJ"
            return found
    if before == "PART" or (before == "PRON" and lower.endswith("s")):
        return "VERB"
    return "NOUN"


def handle(item, emit):
    text = item.get("text")
    if text is None:
        raise Permanent("the item has no text", "no_text")
    tokens, before, start, at = [], "", 0, 0
    for match in TOKEN.finditer(text):
        word = match.group()
        # Places are counted in bytes of UTF-8, as Go does.
        start += len(text[at:match.start()].encode())
        end = start + len(word.encode())
        before = tag(word, before)
        tokens.append({"start": start, "end": end, "tag": before})
        start, at = end, match.end()
        if word in ".!?":
            before = ""
    emit("tags", tokens)


serve(handle, "tagger")
