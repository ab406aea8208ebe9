"""Hooks of MkDocs: README.md is the home page, and a link out of docs/ leads to a copy of its file.

So every link works on GitHub and on the site, and `mkdocs build --strict` checks them all.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'(\]\(|\b(?:src|srcset|href)=")(?![a-z]+:|#)([^)"#\s]+)')


PICTURE = re.compile(
    r'<picture>.*?<img src="([^"]+)" alt="([^"]*)">\s*</picture>|!\[([^\]]*)\]\(([^)]+\.png)\)', re.DOTALL
)


def on_files(files, config):
    """Add README.md, and the files outside docs/ to which a page links."""
    pages = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    todo, known = ["README.md", *pages], set(pages)
    while todo:
        path = todo.pop()
        if path not in known:
            known.add(path)
            files.append(_file(path, config))
        if path.endswith(".md"):
            todo += [target for target in _targets(path) if target not in known and _is_outside(target)]
    return files


def on_page_markdown(markdown, page, config, files):
    """Show each picture as light or dark as the page, and point each link at the place of its target."""
    path = _path(page.file)

    def in_both_schemes(match):
        picture, text = match[1] or match[4], match[2] or match[3] or ""
        dark = picture.removesuffix(".png") + "-dark.png"
        if not (ROOT / _target(path, dark)).is_file():
            return match[0]
        return f"![{text}]({picture}#only-light)![{text}]({dark}#only-dark)"

    def on_site(match):
        target = _target(path, match[2])
        if not (ROOT / target).is_file():
            return match[0]  # strict mode reports it
        place = posixpath.relpath(_uri(target), posixpath.dirname(page.file.src_uri))
        return match[1] + place

    return LINK.sub(on_site, PICTURE.sub(in_both_schemes, markdown))


def _file(path, config):
    return File.generated(config, _uri(path), content=(ROOT / path).read_bytes())


def _targets(path):
    """The existing files to which a page links, as paths from the root."""
    named = (_target(path, match[2]) for match in LINK.finditer((ROOT / path).read_text()))
    return [target for target in named if (ROOT / target).is_file()]


def _target(path, link):
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _is_outside(path):
    """Whether MkDocs does not take the file from docs/ by itself."""
    return not path.startswith("docs/") or path.endswith((".py", ".yaml"))


def _uri(path):
    """The place on the site of a file of the project."""
    if path == "README.md":
        return "index.md"
    if not _is_outside(path):
        return path.removeprefix("docs/")
    return f"repository/{path}" + ("" if path.endswith(".md") else ".txt")


def _path(file):
    """The file of the project that a page was made of."""
    if file.src_uri == "index.md":
        return "README.md"
    inside = file.src_uri.removeprefix("repository/")
    return inside if inside != file.src_uri else f"docs/{inside}"
