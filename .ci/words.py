"""Checks the words of the docs, from the root: no word of a private dialect, and pages that are easy to read.

.ci/words.py FILE ... skips code, and tables that `make docs` generates from it. Of a Python file it checks
docstrings and texts. Ends with 1 on a finding.
"""

import ast
import re
import sys
import warnings
from pathlib import Path

GRADE = 10
"""The highest grade (Flesch-Kincaid: years of school) of the pages that everybody reads."""
EASY = ("README.md", "docs/start/", "docs/how-to/")
HISTORY = {"CHANGELOG.md"}

INSTEAD = {
    r"told": "reported, logged, shown or named",
    r"asked": "requested; or name who asks whom",
    r"(?:is|are|be|been|was|were) heard of": "the heartbeat of, or the lease of",
    r"in vain": "without progress",
    r"waited out|what passes": "transient failures are retried",
    r"speaks? up": "renews the lease",
    r"hand(?:s|ed|ing)? over": "release, upload or pass",
    r"overtaken": "the lease is lost",
    r"held against": "compared with",
    r"what is there|who comes later|what came|what is asked": "name the thing",
    r"whose turn|(?:the|a|his|its) turn": "the lease",
    r"anew": "again",
    r"mend(?:s|ed|ing)?": "correct or fix",
    r"oddit(?:y|ies)": "dropped field, or special case",
    r"the boxes|the ground|the rooms": "stages, core, features",
    r"buried": "has a tombstone",
    r"tall(?:y|ies)": "counts",
    r"surveys?": "inventory",
    r"revisits?": "snapshot",
    r"X's (?:own )?answers?": "X's response",
    r"gives? way|gave way": "is rolled back",
}
"""What not to write, and what to write instead: the left and right columns of the project's vocabulary."""
DIALECT = re.compile("|".join(rf"\b(?:{words})\b" for words in INSTEAD), re.IGNORECASE)

GENERATED = re.compile(r"<!-- (\S[^>]*?) -->.*?<!-- /\1 -->", re.DOTALL)
CODE = re.compile(
    r"^ *```.*?^ *```|^(?: {4}|\t).*?$|<[^>]+>|`[^`\n]*`|(?<=\])\([^)]*\)", re.DOTALL | re.MULTILINE
)


def prose(text: str) -> str:
    """The words of a page, line by line where they were."""
    return CODE.sub(_blank, GENERATED.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    return "it" + "\n" * match[0].count("\n")  # a name in a sentence is one short word


def dialect(page: str, text: str, first: int = 1) -> list[str]:
    problems = []
    for match in DIALECT.finditer(prose(text)):
        line = prose(text).count("\n", 0, match.start()) + first
        instead = next(use for words, use in INSTEAD.items() if re.fullmatch(words, match[0], re.IGNORECASE))
        problems.append(f"{page}:{line}: {match[0]!r}: write {instead}")
    return problems


def dialect_of_code(file: str, text: str) -> list[str]:
    texts = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    of_words = [node for node in texts if isinstance(node.value, str) and " " in node.value]
    return [problem for node in of_words for problem in dialect(file, node.value, node.lineno)]


def sentences(text: str) -> str:
    """The paragraphs and the items of lists, each closed by a full stop: no headings, tables or code."""
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.))", prose(text))
    whole = [re.sub(r"[*_\[\]]|^(?:[-*]|\d+\.)\s", "", " ".join(block.split())) for block in blocks]
    return "\n".join(re.sub(r"[:;]?$", ".", block) for block in whole if block and block[0] not in "#|!")


def grade(text: str) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import textstat
    return textstat.flesch_kincaid_grade(sentences(text))


def main(pages: list[str]) -> int:
    problems = []
    for page in pages:
        text = Path(page).read_text()
        problems += dialect_of_code(page, text) if page.endswith(".py") else dialect(page, text)
        if page.startswith(EASY) and (years := grade(text)) > GRADE:
            problems.append(f"{page}: grade {years:.1f} is above {GRADE}: write shorter sentences and words")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main([page for page in sys.argv[1:] if page not in HISTORY]))
